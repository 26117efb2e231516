"""The subset of external-secrets' v2 templates that is used here: ``{{ .name }}`` and pipes of a few functions.

https://external-secrets.io/latest/guides/templating/ lists what the operator itself offers. Whatever is not known is
refused: a wrong secret is worse than none.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote_plus


class BadTemplate(ValueError):
    """A template that cannot be rendered; the message names the expression and the rule."""


# Go's url.QueryEscape, which the operator's urlquery is, escapes as quote_plus does, "~" left alone by both.
FUNCTIONS: Final[Mapping[str, Callable[[str], str]]] = {
    "b64dec": lambda text: base64.b64decode(text, validate=True).decode(),
    "b64enc": lambda text: base64.b64encode(text.encode()).decode(),
    "lower": str.lower,
    "quote": json.dumps,
    "toJson": json.dumps,
    "trim": str.strip,
    "upper": str.upper,
    "urlquery": quote_plus,
}

_EXPRESSION = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_NAME = re.compile(r"^(?:\.([A-Za-z_][A-Za-z0-9_]*)|index \. \"([^\"]+)\")$")


def render(template: str, values: Mapping[str, str]) -> str:
    """``template`` with its expressions replaced. Raises BadTemplate."""
    return _EXPRESSION.sub(lambda match: _value(match[1].strip(), values), template)


def _value(expression: str, values: Mapping[str, str]) -> str:
    shown = f"{{{{ {expression} }}}}"
    first, *functions = (part.strip() for part in expression.split("|"))
    match = _NAME.match(first)
    if match is None:
        raise BadTemplate(f"{shown}: only {{{{ .name }}}} and {{{{ .name | function }}}} are supported locally")
    name = match[1] or match[2]
    if name not in values:
        raise BadTemplate(f"{shown}: there is no value {name!r}; known are {', '.join(sorted(values)) or 'none'}")
    text = values[name]
    for function in functions:
        if function not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise BadTemplate(f"{shown}: function {function!r} is not supported locally; known are {known}")
        try:
            text = FUNCTIONS[function](text)
        except ValueError as error:
            raise BadTemplate(f"{shown}: {function}: {error}") from error
    return text
