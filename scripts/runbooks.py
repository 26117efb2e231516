"""What there is to know of a runbook without running it: its document, its script, and the alarms that lead to it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from components.severity import Severity
from scripts import record
from scripts.deployment import ROOT

FOLDER = ROOT / "runbooks"
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
_ALARMS, _NAMED = re.compile(r"^Alarms?: (.+?)(?:\(|\.|$)", re.MULTILINE), re.compile(r"`([^`]+)`")
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """``meaning`` is the document's title, ``severity`` the gravest alarm's; ``acts`` where there is a script."""

    name: str
    meaning: str
    severity: str
    alarms: tuple[str, ...]
    acts: bool

    @property
    def document(self) -> Path:
        return FOLDER / f"{self.name}.md"

    def sections(self) -> dict[str, str]:
        """The text of each section by its heading."""
        _, *parts = _SECTION.split(self.document.read_text())
        return {title: body.strip() for title, body in zip(parts[::2], parts[1::2], strict=True)}


@cache
def all_of_them() -> tuple[About, ...]:
    """Every runbook, with the alarms of production that lead to it; else those that its document names.

    These are alarms of environments that are not production, whose faults wake nobody.
    """
    alarms: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for resource in record.read()["resources"]:
        for name, (runbook, severity) in _alarms(resource).items():
            alarms[runbook][name] = severity
    for path in FOLDER.glob("*.md"):
        if path.stem not in alarms:
            alarms[path.stem] = dict.fromkeys(_NAMED.findall(_ALARMS.findall(path.read_text())[0]), Severity.TICKET)
    return tuple(
        About(
            name=path.stem,
            meaning=_TITLE.findall(path.read_text())[0],
            severity=min(alarms[path.stem].values(), default=""),
            alarms=tuple(sorted(alarms[path.stem])),
            acts=path.stem in acting(),
        )
        for path in sorted(FOLDER.glob("*.md"))
    )


def acting() -> list[str]:
    """Names of the runbooks that have a script."""
    return sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))


def _alarms(resource: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Runbook and severity of each alarm that ``resource`` is, by the alarm's name."""
    inputs = resource.get("inputs", {})
    tags = inputs.get("tags") or {}
    if "Runbook" in tags:
        return {resource["urn"].rsplit("::", 1)[1]: (tags["Runbook"], tags["Severity"])}
    if inputs.get("kind") != "PrometheusRule":
        return {}
    rules = [rule for group in inputs["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    return {
        rule["alert"]: (Path(rule["annotations"]["runbook_url"]).stem, rule["labels"]["severity"]) for rule in rules
    }
