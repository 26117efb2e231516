"""`python -m runbooks.canary_abort`: which release visitors of each service get; everybody back to the stable one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from runbooks import _kit as kit
from runbooks._kit import balancer
from runbooks._kit.cloudwatch import points
from runbooks._kit.target import settled

STABLE, CANARY = "stable", "canary"
# Metrics of a balancer come by the minute, and up to two minutes late: within three the last ones have been told.
_QUIET = timedelta(minutes=3)
_SHOWN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A release's target group; ``weight`` is None when the rule does not name it, requests are of ten minutes."""

    weight: int | None
    healthy: int
    targets: int
    requests: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A service's two releases. ``held`` says until when somebody answers for the canary; empty when nobody does.

    ``alone`` is whether the rule leads to the stable release and nowhere else, so that no cookie sticks to another;
    ``shared`` whether another gets a part of the visitors.
    """

    service: str
    tracks: Mapping[str, Track]
    held: str
    alone: bool
    shared: bool


@dataclass(frozen=True, slots=True)
class Found:
    """The canaries that were looked at, and those of them that are to be ended."""

    canaries: Sequence[Canary]
    due: Sequence[Canary]

    def tables(self) -> list[kit.Table]:
        columns = ("service", "release", "weight", "healthy", "requests", "errors_percent", "canary_held_until")
        rows = [
            (
                *(each.service, name, track.weight, f"{track.healthy} of {track.targets}", track.requests),
                *(round(100 * track.errors / track.requests, 1) if track.requests else None, each.held or None),
            )
            for each in self.canaries
            for name, track in each.tracks.items()
        ]
        return [kit.Table("releases, and their last ten minutes", columns, rows)]


@dataclass(frozen=True, kw_only=True)
class CanaryAbort(kit.Runbook[Found]):
    """Lead everybody to the stable release, and end the lease of the canary, so that no script goes on with it.

    Without a service it ends every canary that gets traffic or is held; one that is named ends whatever its weight is.
    """

    aws = frozenset(
        {
            *("elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeTargetHealth"),
            *("elasticloadbalancing:ModifyRule", "cloudwatch:GetMetricStatistics"),
        }
    )

    service: Annotated[list[str], typer.Option(help="A service whose canary ends; may be repeated.")] = field(
        default_factory=list
    )
    patience: Annotated[float, typer.Option(min=0, help="Seconds until the canary's last request was counted.")] = 300.0

    def check(self, target: kit.Target) -> Found:
        known = target.operations.canaries
        if unknown := sorted(set(self.service) - set(known)):
            raise kit.Refused(f"no canary is of {', '.join(unknown)}; services with one are {', '.join(sorted(known))}")
        canaries = [_canary(target, service) for service in sorted(self.service or known)]
        due = [each for each in canaries if each.held or each.shared or (self.service and not each.alone)]
        for each in due:
            if not each.tracks[STABLE].healthy:
                raise kit.Refused(
                    f"the stable release of {each.service} has no healthy pod, so nobody can be led to it: bring its "
                    "pods back first (kubectl get pods)"
                )
        return Found(canaries, due)

    def plan(self, findings: Found) -> list[kit.Action]:
        # Weights and the lease's end change by the minute while a script goes on: they are shown, and no matter here.
        return [
            kit.Action(
                id=f"end the canary of {each.service}",
                what=f"lead everybody of {each.service} to the stable release, and end the canary's lease",
                before={"service": each.service, "canary": True},
                after={"canary": False},
                no_undo="a canary that was ended starts again at its first step, with a new lease, by daylight",
            )
            for each in findings.due
        ]

    def snapshot(self, target: kit.Target, action: kit.Action) -> Any:
        known = target.operations.canaries[action.before["service"]]
        return {
            "actions": balancer.actions(target.client("elbv2"), known["rule"]),
            "lease": _lease(target, known["lease"]),
        }

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        """The lease first: should this stop half way, the function that looks after leases leads everybody back."""
        service = action.before["service"]
        known, now = target.operations.canaries[service], _canary(target, service)
        weights = {name: track.weight for name, track in now.tracks.items()}
        if now.held:
            ended = {"ended": datetime.now(UTC).isoformat(), "why": "person on call", "weights": weights}
            target.client("ssm").put_parameter(Name=known["lease"], Value=json.dumps(ended), Overwrite=True)
        # One group, and not a weight of 0: visitors stick to the group of their cookie whatever the weights are.
        target.client("elbv2").modify_rule(
            RuleArn=known["rule"], Actions=[{"Type": "forward", "TargetGroupArn": known[STABLE]}]
        )
        if not (left := _canary(target, service)).alone or left.held:
            raise RuntimeError(
                f"somebody changed the canary of {service} in the same moment: find and stop that script"
            )
        return {"weights": weights}

    def verify(self, target: kit.Target) -> list[kit.Check]:
        return settled(
            lambda: self._checks(target),
            lambda checks: all(each.ok for each in checks),
            seconds=self.patience,
            every=15,
        )

    def _checks(self, target: kit.Target) -> list[kit.Check]:
        found, checks = self.check(target), []
        for each in found.canaries:
            arn = target.operations.canaries[each.service][CANARY]
            requests = _counted(target, target.operations.canaries[each.service]["rule"], arn, "RequestCount", _QUIET)
            said = f"{requests} in three minutes; who asks for it by header or cookie still gets it" if requests else ""
            checks += [
                kit.Check(f"{each.service} is stable alone", each not in found.due, each.held),
                kit.Check(f"nobody asks the canary of {each.service}", not requests, said),
            ]
        return checks


def _canary(target: kit.Target, service: str) -> Canary:
    known = target.operations.canaries[service]
    weights = balancer.weights(balancer.actions(target.client("elbv2"), known["rule"]))
    tracks = {}
    for name in (STABLE, CANARY):
        arn = known[name]
        health = target.client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        tracks[name] = Track(
            weight=weights.get(arn),
            healthy=sum(each["TargetHealth"]["State"] == "healthy" for each in health),
            targets=len(health),
            requests=_counted(target, known["rule"], arn, "RequestCount", _SHOWN),
            errors=_counted(target, known["rule"], arn, "HTTPCode_Target_5XX_Count", _SHOWN),
        )
    return Canary(
        service=service,
        tracks=tracks,
        held=_held_until(_lease(target, known["lease"])),
        alone=set(weights) == {known[STABLE]},
        shared=any(weight for group, weight in weights.items() if group != known[STABLE]),
    )


def _lease(target: kit.Target, name: str) -> str:
    return str(target.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])


def _held_until(lease: str) -> str:
    """When the lease ends; empty when it has, or cannot be understood: the guard takes it for one that has, too."""
    try:
        expires = datetime.fromisoformat(json.loads(lease)["expires"])
    except (ValueError, KeyError, TypeError):
        return ""
    return expires.isoformat() if expires.tzinfo and expires > datetime.now(UTC) else ""


def _counted(target: kit.Target, rule: str, group: str, metric: str, during: timedelta) -> int:
    """The sum of a metric of a target group."""
    of = balancer.dimensions(rule, group)
    found = points(target, balancer.NAMESPACE, metric, of, during=during, statistic="Sum")
    return int(sum(value for _, value in found))


app = kit.command(CanaryAbort)
if __name__ == "__main__":
    app()
