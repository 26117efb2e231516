"""A listener as ELBv2 describes it, read into what a proxy needs to know. What is not understood is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Answer = Mapping[str, Any]
# One that matches when no other does comes last.
_LAST = 1 << 20


class NotUnderstood(ValueError):
    """The listener says something that the local balancer does not do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """``kind`` is path, host or header; one of ``values``, with * and ? for what may be anything, has to match."""

    kind: str
    values: Sequence[str]
    header: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is done with a request that meets all ``conditions``.

    ``shares`` are target groups by ARN with their weights; without any, ``status``, ``type``, ``body`` answer.
    ``sticky`` is how many seconds a visitor stays with their group; 0 when they do not. ``rewrite`` is a regular
    expression and what takes its place in the path.
    """

    id: str
    priority: int
    conditions: Sequence[Condition]
    shares: Mapping[str, int]
    sticky: int = 0
    rewrite: tuple[str, str] | None = None
    status: int = 0
    type: str = ""
    body: str = ""


def read(answers: Sequence[Answer]) -> list[Rule]:
    """The rules of DescribeRules, in the order in which they are tried. Raises NotUnderstood."""
    return sorted(map(_rule, answers), key=lambda rule: rule.priority)


def _rule(answer: Answer) -> Rule:
    id = "default" if answer["IsDefault"] else answer["RuleArn"].rpartition("/")[2]
    common: dict[str, Any] = {
        "id": id,
        "priority": _LAST if answer["IsDefault"] else int(answer["Priority"]),
        "conditions": [_condition(each) for each in answer["Conditions"]],
        "rewrite": _rewrite(answer.get("Transforms") or []),
    }
    *_, action = answer["Actions"]
    if action["Type"] == "fixed-response":
        config = action["FixedResponseConfig"]
        answered = {"type": config.get("ContentType", "text/plain"), "body": config.get("MessageBody", "")}
        return Rule(**common, shares={}, status=int(config["StatusCode"]), **answered)
    if action["Type"] != "forward":
        raise NotUnderstood(f"rule {id} has the action {action['Type']}; here rules forward, or answer by themselves")
    config = action.get("ForwardConfig") or {}
    groups = config.get("TargetGroups") or [{"TargetGroupArn": action.get("TargetGroupArn")}]
    shares = {each["TargetGroupArn"]: int(each.get("Weight", 1)) for each in groups}
    stickiness = config.get("TargetGroupStickinessConfig") or {}
    sticky = int(stickiness.get("DurationSeconds", 0)) if stickiness.get("Enabled") and len(shares) > 1 else 0
    return Rule(**common, shares=shares, sticky=sticky)


def _condition(answer: Answer) -> Condition:
    match answer["Field"]:
        case "path-pattern":
            return Condition(kind="path", values=_values(answer, "PathPatternConfig"))
        case "host-header":
            return Condition(kind="host", values=_values(answer, "HostHeaderConfig"))
        case "http-header":
            config = answer["HttpHeaderConfig"]
            return Condition(kind="header", header=config["HttpHeaderName"], values=config["Values"])
        case other:
            raise NotUnderstood(f"a rule has a condition on {other}; here they are on path, host or a header")


def _values(answer: Answer, config: str) -> Sequence[str]:
    values: Sequence[str] = (answer.get(config) or answer)["Values"]
    return values


def _rewrite(answers: Sequence[Answer]) -> tuple[str, str] | None:
    for answer in answers:
        if answer["Type"] != "url-rewrite":
            raise NotUnderstood(f"a rule has the transform {answer['Type']}; here it is url-rewrite")
        [rewrite] = answer["UrlRewriteConfig"]["Rewrites"]
        return rewrite["Regex"], rewrite["Replace"]
    return None
