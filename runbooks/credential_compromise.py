"""`python -m runbooks.credential_compromise`: who read a login, what a key did; no login of before opens anything."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from runbooks import _kit as kit
from runbooks._kit import postgresql, rotation
from runbooks._kit.rotation import CURRENT, PREVIOUS, Secret
from runbooks._kit.target import until

# Logins take turns: the current one and the one before both open the store.
_OPEN = (PREVIOUS, CURRENT)
# CloudTrail answers twice a second, with 50 events: more than this is for Athena.
_MOST, _SHOWN = 2_000, 20
# A login sees and ends the sessions of its own role.
_OLD = "usename = current_user AND pid <> pg_backend_pid() AND backend_start < cast(:before AS timestamptz)"
_SESSIONS = f"SELECT count(*) AS sessions FROM pg_stat_activity WHERE {_OLD}"
_END = f"SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) AS sessions FROM pg_stat_activity WHERE {_OLD}"
_IN_USE = "SELECT count(*) AS sessions FROM pg_stat_activity WHERE usename = :role AND datname = current_database()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaked:
    """A login that somebody may have read, with when the version of each stage was made; ``old`` are those of before.

    ``sessions`` counts, by stage, sessions of a younger version that are older than its password.
    """

    secret: Secret
    made: Mapping[str, datetime]
    old: Mapping[str, str]
    sessions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Found:
    """The logins that were named, who read them, and what the key did that was named."""

    leaked: Sequence[Leaked]
    readers: Sequence[Sequence[Any]]
    calls: Sequence[Sequence[Any]]

    def tables(self) -> list[kit.Table]:
        rows = [
            (
                each.secret.name,
                stage,
                made.isoformat(),
                "of before" if stage in each.old else "good",
                each.sessions.get(stage),
            )
            for each in self.leaked
            for stage, made in each.made.items()
        ]
        shown = ("who", "from", "times", "last")
        return [
            kit.Table("logins that open something", ("secret", "stage", "made", "state", "old_sessions"), rows),
            kit.Table("who read them", ("secret", *shown), self.readers),
            kit.Table("what the key did", ("call", *shown), self.calls),
        ]


@dataclass(frozen=True, kw_only=True)
class CredentialCompromise(kit.Runbook[Found]):
    """Rotate logins that somebody may have read until none of before opens anything, and end the sessions of those.

    Identities are not touched: who is on call may change none. It shows who read a login, and what a key did.
    """

    aws = frozenset(
        {
            *("secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds", "secretsmanager:RotateSecret"),
            "cloudtrail:LookupEvents",
        }
    )
    # Pods leave a login within minutes, and each takes two turns.
    minutes = 60

    secret: Annotated[list[str], typer.Option(help="A login that leaked, e.g. booking-database; may be repeated.")] = (
        field(default_factory=list)
    )
    leaked_until: Annotated[
        str, typer.Option(help="Until when it may have been read, with the zone: 2026-11-28T03:14:00+00:00.")
    ] = ""
    access_key: Annotated[str, typer.Option(help="A key id whose calls are shown.")] = ""
    looking_back: Annotated[int, typer.Option(min=1, max=90 * 24, help="Hours of the trail that are shown.")] = 24
    settle: Annotated[
        float, typer.Option(min=0, help="Seconds that pods have to leave a login before its password goes.")
    ] = 240.0
    patience: Annotated[float, typer.Option(min=0, help="Seconds that a rotation may take.")] = 300.0

    def check(self, target: kit.Target) -> Found:
        named = rotation.chosen(rotation.secrets(target), self.secret)
        before = _moment(self.leaked_until) if named else datetime.now(UTC)
        since = datetime.now(UTC) - timedelta(hours=self.looking_back)
        return Found(
            leaked=[_leaked(target, each, before) for each in named],
            readers=_readers(target, named, since) if named else (),
            calls=_calls(target, self.access_key, since) if self.access_key else (),
        )

    def plan(self, findings: Found) -> list[kit.Action]:
        no_undo = "what somebody may have read must not work again"
        ends = [
            kit.Action(
                id=f"end {each.secret.name} {version}",
                what=f"rotate {each.secret.name} until its login of {each.made[stage]:%Y-%m-%d %H:%M} opens nothing",
                before={"secret": each.secret.name, "version": version},
                after={"version": None},
                no_undo=no_undo,
            )
            for each in findings.leaked
            for stage, version in each.old.items()
        ]
        sessions = [
            kit.Action(
                id=f"end sessions of {each.secret.name} {each.secret.stages[stage]}",
                what=f"end sessions of {each.secret.name} that are older than the password ({stage})",
                before={"secret": each.secret.name, "sessions_of": each.secret.stages[stage]},
                after={"sessions_of": None},
                no_undo=no_undo,
            )
            for each in findings.leaked
            for stage, count in each.sessions.items()
            if count
        ]
        return [*ends, *sessions]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        name, ended = action.before["secret"], 0
        while stage := _stage(secret := rotation.secret(target, name), action.before.get("version")):
            self._settled(target, secret)
            rotation.rotate(target, name, before=secret.stages[CURRENT], discard_pending=False, patience=self.patience)
            ended += _end_sessions(target, rotation.secret(target, name), CURRENT)
        if stage := _stage(secret, action.before.get("sessions_of")):
            ended += _end_sessions(target, secret, stage)
        return {"sessions ended": ended}

    def verify(self, target: kit.Target) -> list[kit.Check]:
        checks = []
        for each in self.check(target).leaked:
            old, sessions = ", ".join(each.old), sum(each.sessions.values())
            refusal = rotation.refusal(target, each.secret)
            checks += [
                kit.Check(f"no login of {each.secret.name} is of before", not old, old),
                kit.Check(f"no session of {each.secret.name} is older than its password", not sessions, str(sessions)),
                kit.Check(f"{each.secret.name} logs in", not refusal, refusal),
            ]
        return checks

    def _settled(self, target: kit.Target, secret: Secret) -> None:
        """Wait until nobody uses the login whose turn it is, or time is up: its password goes in any case."""
        service = rotation.service(target, secret.arn)
        if not service or PREVIOUS not in secret.stages:
            return
        role = target.secret(secret.arn, PREVIOUS)["username"]

        def left() -> bool:
            with postgresql.connected(target, service) as database:
                return not database.rows(_IN_USE, role=role)[0]["sessions"]

        until(left, seconds=self.settle, every=5)


def _stage(secret: Secret, version: str | None) -> str:
    """With which stage a version still opens the store; empty when it does not."""
    return next((stage for stage in _OPEN if version and secret.stages.get(stage) == version), "")


def _moment(text: str) -> datetime:
    """Raises Refused for what is no moment in the past: a login could never be younger than it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.max
    if moment.tzinfo is None or moment > datetime.now(UTC):
        raise kit.Refused(
            f"--leaked-until is {text or 'not given'}: with --secret it says until when somebody may have read it, a "
            "moment of the past with its zone, like 2026-11-28T03:14:00+00:00"
        )
    return moment


def _leaked(target: kit.Target, secret: Secret, before: datetime) -> Leaked:
    listed = target.client("secretsmanager").list_secret_version_ids(SecretId=secret.arn)["Versions"]
    dates = {each["VersionId"]: each["CreatedDate"] for each in listed}
    made = {stage: dates[secret.stages[stage]] for stage in _OPEN if stage in secret.stages}
    return Leaked(
        secret=secret,
        made=made,
        old={stage: secret.stages[stage] for stage, at in made.items() if at <= before},
        sessions={stage: _sessions(target, secret, stage, _SESSIONS, at) for stage, at in made.items() if at > before},
    )


def _sessions(target: kit.Target, secret: Secret, stage: str, statement: str, made: datetime) -> int:
    """What a statement about old sessions counts; none where it is no database."""
    service = rotation.service(target, secret.arn)
    if not service:
        return 0
    with postgresql.connected(target, service, stage=stage) as database:
        return int(database.rows(statement, before=made.isoformat())[0]["sessions"])


def _end_sessions(target: kit.Target, secret: Secret, stage: str) -> int:
    return _sessions(target, secret, stage, _END, datetime.now(UTC))


def _readers(target: kit.Target, named: Sequence[Secret], since: datetime) -> list[tuple[Any, ...]]:
    names = {f"{target.identity.environment}/{each.name}": each.name for each in named}
    names |= {each.arn: each.name for each in named}
    events = _events(target, "EventName", "GetSecretValue", since)
    return _summed(
        [
            (names[asked], event)
            for event in events
            if (asked := (event.get("requestParameters") or {}).get("secretId")) in names
        ]
    )


def _calls(target: kit.Target, key: str, since: datetime) -> list[tuple[Any, ...]]:
    events = _events(target, "AccessKeyId", key, since)
    return _summed([(f"{event['eventSource'].partition('.')[0]}:{event['eventName']}", event) for event in events])


def _events(target: kit.Target, attribute: str, value: str, since: datetime) -> list[dict[str, Any]]:
    """As the trail has them, the newest first; no more than _MOST."""
    pages = target.client("cloudtrail").get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": attribute, "AttributeValue": value}],
        StartTime=since,
        PaginationConfig={"MaxItems": _MOST},
    )  # fmt: skip
    return [json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"]]


def _summed(events: Sequence[tuple[str, Mapping[str, Any]]]) -> list[tuple[Any, ...]]:
    """What was done, by whom, from where, how often, and when for the last time; the newest first."""
    times, last = Counter[tuple[str, ...]](), dict[tuple[str, ...], str]()
    for what, event in events:
        identity = event["userIdentity"]
        who = (what, identity.get("arn") or identity.get("invokedBy", ""), event.get("sourceIPAddress", ""))
        times[who] += 1
        last[who] = max(last.get(who, ""), event["eventTime"])
    newest = sorted(times, key=lambda who: last[who], reverse=True)
    return [(*who, times[who], last[who]) for who in newest[:_SHOWN]]


app = kit.command(CredentialCompromise)
if __name__ == "__main__":
    app()
