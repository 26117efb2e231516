"""The templates of `services/notification/templates`: what a message says, by workflow and locale.

The content is rendered here and handed to Novu ready, so that it is versioned and tested with the code that sends it. A
workflow has two files for each locale: `.html` for e-mail, escaped, and `.txt` with the blocks `subject`, `short` and,
where it may go by SMS, `sms`. An undefined variable is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape
from pydantic.alias_generators import to_snake

from services.notification.preferences import Locale
from services.notification.workflows.model import Channel, Workflow

FOLDER: Final = Path(__file__).parents[1] / "templates"

Content = dict[Channel, dict[str, str]]


class Templates:
    """The Renderer port on Jinja2. ``site`` is the address of the public pages that messages lead to."""

    def __init__(self, site: str) -> None:
        self._site = site
        self.environment = Environment(
            loader=FileSystemLoader(FOLDER),
            undefined=StrictUndefined,
            autoescape=select_autoescape(enabled_extensions=("html",), default=False),
            auto_reload=False,
        )

    def render(
        self, workflow: Workflow, locale: Locale, channels: Iterable[Channel], payloads: Sequence[Mapping[str, str]]
    ) -> Content:
        """What ``workflow`` says on each of ``channels``; ``payloads`` are the ids, several of them in a digest."""
        items = [{to_snake(key): value for key, value in payload.items()} for payload in payloads]
        variables: dict[str, Any] = {"site": self._site, **({"items": items} if workflow.digest else items[0])}
        texts = self.environment.get_template(f"{workflow.name}/{locale}.txt")
        html = self.environment.get_template(f"{workflow.name}/{locale}.html")
        subject = _block(texts, "subject", variables)
        content: Content = {}
        for channel in channels:
            match channel:
                case Channel.EMAIL:
                    content[channel] = {"subject": subject, "body": html.render(variables)}
                case Channel.SMS:
                    content[channel] = {"body": _block(texts, "sms", variables)}
                case Channel.CHAT:
                    content[channel] = {"body": _block(texts, "short", variables)}
                case Channel.PUSH | Channel.IN_APP:
                    content[channel] = {"subject": subject, "body": _block(texts, "short", variables)}
        return content


def _block(template: Template, name: str, variables: Mapping[str, Any]) -> str:
    return "".join(template.blocks[name](template.new_context(dict(variables))))
