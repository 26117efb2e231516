"""Checks of IAM documents: a statement that must not be there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from policies.checks import Judged, Properties

Statement = Mapping[str, Any]
# A condition on one of these names who may call; without one, `*` is the world.
_NARROWING = re.compile(
    r"aws:(Source(Arn|Account|OrgID|OrgPaths|Vpce|Vpc)|Principal(Arn|Account|OrgID|OrgPaths)|userid)|kms:CallerAccount"
    r"|lambda:FunctionUrlAuthType|.*:sub|.*:aud",
    re.IGNORECASE,
)


def statements(props: Properties, *keys: str) -> Iterator[tuple[str, Statement]]:
    """Every statement of the documents at ``keys``; of `inlinePolicies` too, where asked for."""
    for key in keys:
        if key not in props or props[key] is None:
            continue
        texts = [each["policy"] for each in props[key]] if key == "inlinePolicies" else [props[key]]
        for text in texts:
            document = json.loads(text) if isinstance(text, str) else text
            found = document.get("Statement", ())
            for number, one in enumerate([found] if isinstance(found, Mapping) else found):
                yield f"{key}.Statement[{number}]", one


def forbids(
    wrong: Callable[[Statement], str | None],
    *,
    remedy: str,
    good: Statement,
    bad: Statement,
    keys: Sequence[str] = ("policy",),
) -> Judged:
    """No statement is wrong. ``wrong`` says what it is and what it should be."""

    def judge(props: Properties) -> str | None:
        for place, statement in statements(props, *keys):
            if said := wrong(statement):
                return f"{place}{said}"
        return None

    def of(statement: Statement) -> dict[str, Any]:
        return {keys[0]: json.dumps({"Version": "2012-10-17", "Statement": [statement]})}

    return Judged(path=keys[0], judge=judge, good=of(good), bad=(of(bad),), remedy=remedy)


def texts(value: Any) -> list[str]:
    """One text or many, as IAM takes both."""
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def allows(statement: Statement) -> bool:
    """Whether it grants anything."""
    return statement.get("Effect") == "Allow"


def actions(statement: Statement) -> list[str]:
    """What it grants."""
    return texts(statement.get("Action")) if allows(statement) else []


def grants(statement: Statement, *wanted: str) -> str | None:
    """The first action of it that covers one of ``wanted``."""
    for action in actions(statement):
        if any(fnmatchcase(each.lower(), action.lower()) for each in wanted):
            return action
    return None


def everywhere(statement: Statement) -> bool:
    """Whether it reaches every resource, without a condition that narrows it."""
    return "*" in texts(statement.get("Resource")) and not statement.get("Condition")


def principals(statement: Statement) -> list[str]:
    """Whom it names, of whatever kind."""
    named = statement.get("Principal")
    return [named] if isinstance(named, str) else [each for kind in (named or {}).values() for each in texts(kind)]


def narrowed(statement: Statement) -> bool:
    """Whether a condition says who may call."""
    return any(_NARROWING.fullmatch(key) for test in (statement.get("Condition") or {}).values() for key in test)


def public(statement: Statement, *only: str) -> bool:
    """Whether it lets the world do anything, or one of ``only``."""
    open_ = allows(statement) and "*" in principals(statement) and not narrowed(statement)
    return open_ and (not only or grants(statement, *only) is not None)


def not_public(*only: str, keys: Sequence[str] = ("policy",)) -> Judged:
    """No statement lets the world in."""
    bad = {"Effect": "Allow", "Principal": "*", "Action": list(only) or ["*"], "Resource": ["*"]}
    return forbids(
        lambda one: (
            ".Principal is '*', it must name accounts or have a condition that does" if public(one, *only) else None
        ),
        remedy="Name the principals, or add a condition on aws:SourceArn, aws:SourceAccount or aws:PrincipalOrgID",
        good={**bad, "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}},
        bad=bad,
        keys=keys,
    )
