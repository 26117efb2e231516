"""`python -m runbooks.orphan_previews`: what is left over of previews; the stores' part of it goes, and its record."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from runbooks import _kit as kit
from runbooks._kit.cloudwatch import points

# As `eventctl preview` writes them (scripts/previews/records.py).
_TAG, _STUCK = "Preview", "stuck"
# As long as making one may take (scripts/previews/reaper.py): meanwhile it has a record and nothing else.
_MAKING = timedelta(hours=1)
_SHOWN = timedelta(hours=2)
# The function's time (components/tenants.py), and a little for the way: who hung up sooner would call it twice.
_ANSWERS_WITHIN = 310


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is written down of a preview, in the parameter ``parameter``; its time counts from ``active``."""

    parameter: str
    name: str
    who: str
    state: str
    reason: str
    active: datetime
    until: str

    @property
    def read(self) -> dict[str, str]:
        """What must not have changed when it is acted upon: whoever begins the preview anew moves ``active``."""
        return {
            "preview": self.name,
            "record": self.parameter,
            "state": self.state,
            "active": self.active.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What there is of a preview. ``resources`` have its tag; ``why`` it is left over is empty while it is in use."""

    name: str
    record: Record | None
    resources: int
    why: str

    @property
    def closable(self) -> bool:
        """Whether nothing but the stores' part and the record can be left: a stack's things have its tag."""
        return bool(self.why) and not self.resources and self.record is not None

    @property
    def stuck(self) -> bool:
        """Whether a destroy of it did not end."""
        return self.record is not None and self.record.state == _STUCK

    @property
    def remedy(self) -> str:
        """What takes it away."""
        if not self.why:
            return ""
        if not self.closable:
            return f"eventctl preview down {self.name} --apply"
        return "this runbook" if self.stuck else f"this runbook, with --preview {self.name}"


@dataclass(frozen=True, slots=True)
class Found:
    """Every preview there is, those whose rest is to go, and the function's calls, errors and throttles."""

    previews: Sequence[Preview]
    due: Sequence[Preview]
    function: Sequence[Any]

    def tables(self) -> list[kit.Table]:
        columns = ("preview", "state", "who", "until", "resources", "left_over_because", "goes_by")
        rows = [
            (each.name, *_said(each.record), each.resources, each.why or None, each.remedy or None)
            for each in self.previews
        ]
        return [
            kit.Table("previews", columns, rows),
            kit.Table("their function, in two hours", ("calls", "errors", "throttles"), [self.function]),
        ]


@dataclass(frozen=True, kw_only=True)
class OrphanPreviews(kit.Runbook[Found]):
    """Have the stores give up what they keep of previews whose stack is gone, and forget their records.

    Without a name it closes those whose destroy failed when nothing else was left. One of which something with its tag
    is left still has a stack, and is never touched: it is shown with the command that destroys it in order.
    """

    aws = frozenset(
        {
            *("ssm:GetParametersByPath", "tag:GetResources", "cloudwatch:GetMetricStatistics"),
            "lambda:InvokeFunction",
        }
    )
    # A call may take five.
    minutes = 30

    preview: Annotated[list[str], typer.Option(help="A preview whose rest is to go, e.g. pr-12; may be repeated.")] = (
        field(default_factory=list)
    )

    def check(self, target: kit.Target) -> Found:
        previews = self._previews(target)
        return Found(previews, self._due(target, previews), _measured(target))

    def plan(self, findings: Found) -> list[kit.Action]:
        return [
            kit.Action(
                id=f"close {record.name} of {record.parameter}",
                what=f"have the stores give up what they keep for {record.name}, and forget its record",
                before=record.read,
                after={"record": None},
                no_undo="it was a preview's test data alone; `eventctl preview up` makes the preview anew",
            )
            for each in findings.due
            if (record := each.record)
        ]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        """The record last: as long as something may be left, it says so."""
        _as_read(target, action)
        given_up = _give_up(target, action.before["preview"])
        # The call took its time, and a preview that was begun anew meanwhile needs its record.
        _as_read(target, action)
        target.client("ssm").delete_parameter(Name=action.before["record"])
        return {"stores": given_up}

    def verify(self, target: kit.Target) -> list[kit.Check]:
        left = {each.name: each for each in self._previews(target) if each.why}
        names = sorted(self.preview or left)
        checks = [
            kit.Check(f"nothing is left over of {name}", name not in left, _todo(left.get(name))) for name in names
        ]
        return checks or [kit.Check("no preview is left over", ok=True)]

    def _previews(self, target: kit.Target) -> list[Preview]:
        """By name. Raises Refused where there can be none."""
        environment = target.identity.environment
        if not target.operations.tenants_function:
            raise kit.Refused(
                f"{environment} takes no previews: it is production, or was not made by this version yet; choose "
                "another with --environment, or bring it up to date"
            )
        now, tagged, records = datetime.now(UTC), _tagged(target), list(_records(target))
        known = {record.name for record in records}
        return sorted(
            [
                *(_preview(record, tagged[record.name], now) for record in records),
                *(
                    Preview(name=name, record=None, resources=count, why="it has no record")
                    for name, count in tagged.items()
                    if name not in known
                ),
            ],
            key=lambda each: each.name,
        )

    def _due(self, target: kit.Target, previews: Sequence[Preview]) -> list[Preview]:
        """Those that are named, or else those that are stuck. Raises Refused for what is not this runbook's."""
        if not self.preview:
            return [each for each in previews if each.closable and each.stuck]
        named = [each for each in previews if each.name in self.preview]
        # One that is gone is no error beside others: a run that was cut short goes on with the same names.
        if not named:
            raise kit.Refused(
                f"{target.identity.environment} has nothing of {', '.join(self.preview)}: it is gone, or never was; "
                f"there are {', '.join(each.name for each in previews) or 'no previews'}"
            )
        if wrong := [refusal for each in named if (refusal := _refusal(each))]:
            raise kit.Refused("; ".join(wrong))
        return named


def _preview(record: Record, resources: int, now: datetime) -> Preview:
    why = ""
    if record.state == _STUCK:
        why = f"its destroy failed: {record.reason}"
    elif not resources and record.active + _MAKING <= now:
        why = f"it has a record, and nothing else since {record.active:%Y-%m-%d %H:%M}"
    return Preview(name=record.name, record=record, resources=resources, why=why)


def _said(record: Record | None) -> tuple[str | None, str | None, str | None]:
    return (record.state, record.who, record.until) if record else ("no record", None, None)


def _refusal(preview: Preview) -> str:
    """Why one that was named is not closed; empty when it is."""
    if preview.resources:
        return (
            f"{preview.resources} resources have the tag of {preview.name}, so it still has a stack, which only "
            f"`eventctl preview down {preview.name} --apply` destroys in order"
        )
    if preview.record and not preview.why:
        return (
            f"{preview.name} is {preview.record.state} since {preview.record.active:%Y-%m-%d %H:%M} by "
            f"{preview.record.who}, and not left over: ask them, or wait"
        )
    return ""


def _todo(preview: Preview | None) -> str:
    return f"{preview.why}: {preview.remedy}" if preview else ""


def _records(target: kit.Target) -> Iterator[Record]:
    pages = target.client("ssm").get_paginator("get_parameters_by_path")
    for page in pages.paginate(Path=f"/{target.identity.environment}/previews", Recursive=True):
        for parameter in page["Parameters"]:
            found = json.loads(parameter["Value"])
            active = datetime.fromisoformat(found["active"])
            until = active + timedelta(hours=found["hours"])
            yield Record(
                parameter=parameter["Name"],
                name=found["name"],
                who=found["who"],
                state=found["state"],
                reason=found["reason"],
                active=active,
                until="kept" if found["kept"] else until.isoformat(timespec="minutes"),
            )


def _tagged(target: kit.Target) -> Counter[str]:
    """How many resources have a preview's tag, by preview; a record has no tag of its environment, and is none."""
    filters = [{"Key": _TAG}, {"Key": "Environment", "Values": [target.identity.environment]}]
    pages = target.client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(TagFilters=filters)
    return Counter(
        tag["Value"]
        for page in pages
        for resource in page["ResourceTagMappingList"]
        for tag in resource["Tags"]
        if tag["Key"] == _TAG
    )


def _measured(target: kit.Target) -> list[int]:
    of = {"FunctionName": target.operations.tenants_function}
    return [
        int(sum(value for _, value in points(target, "AWS/Lambda", metric, of, during=_SHOWN, statistic="Sum")))
        for metric in ("Invocations", "Errors", "Throttles")
    ]


def _as_read(target: kit.Target, action: kit.Action) -> None:
    """Raises Stop when the record is not what was read any more."""
    if action.before not in [record.read for record in _records(target)]:
        raise kit.Stop(
            f"somebody is at work with {action.before['preview']}: its record is not what it was; look at "
            "`eventctl preview list`"
        )


def _give_up(target: kit.Target, name: str) -> Any:
    """What the environment's function says that it took back. Raises RuntimeError with its words when it fails."""
    event = {"preview": name, "topology": {}, "tf": {"action": "delete"}}
    answer = target.client("lambda", answers_within=_ANSWERS_WITHIN).invoke(
        FunctionName=target.operations.tenants_function, Payload=json.dumps(event).encode()
    )
    said = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise RuntimeError(f"the stores keep what they have of {name}: {said['errorMessage']}")
    return said


app = kit.command(OrphanPreviews)
if __name__ == "__main__":
    app()
