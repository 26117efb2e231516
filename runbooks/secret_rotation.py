"""`python -m runbooks.secret_rotation`: where each login's rotation stands; rotates the ones that are named."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

import aio_pika
import httpx
import typer

from runbooks import _kit as kit
from runbooks._kit import postgresql
from runbooks._kit.target import until

_CURRENT, _PENDING = "AWSCURRENT", "AWSPENDING"
# Logins take turns: two rotations in a row lock out pods that still have the one before.
_APART = timedelta(hours=1)
_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A secret of the environment, and which of its versions carries which stage."""

    name: str
    arn: str
    scheduled: bool
    rotated: datetime | None
    following: datetime | None
    stages: Mapping[str, str]

    @property
    def stuck(self) -> bool:
        """Whether a rotation was begun and not ended."""
        return self.stages.get(_PENDING) not in (None, self.stages.get(_CURRENT))


@dataclass(frozen=True, slots=True)
class Found:
    """All secrets, and those of the named ones that are to be rotated."""

    secrets: Sequence[Secret]
    due: Sequence[Secret]

    def tables(self) -> list[kit.Table]:
        rows = [
            (each.name, _said(each.rotated), _said(each.following), "stuck" if each.stuck else "at rest")
            for each in self.secrets
        ]
        return [kit.Table("secrets", ("secret", "rotated", "next", "rotation"), rows)]


@dataclass(frozen=True, kw_only=True)
class SecretRotation(kit.Runbook[Found]):
    """Rotate the named secrets now, and log in with what came of it.

    The login before goes on working until the rotation after this, so a secret that was rotated an hour ago is left.
    """

    aws = frozenset(
        {
            *("secretsmanager:DescribeSecret", "secretsmanager:RotateSecret"),
            "secretsmanager:UpdateSecretVersionStage",
        }
    )

    secret: Annotated[list[str], typer.Option(help="Rotate this one, e.g. booking-database; may be repeated.")] = field(
        default_factory=list
    )
    discard_pending: Annotated[
        bool, typer.Option("--discard-pending", help="Begin anew where a pending version can never work.")
    ] = False
    patience: Annotated[float, typer.Option(min=0, help="Seconds that a rotation may take.")] = 300.0

    def check(self, target: kit.Target) -> Found:
        arns = _arns(target)
        if unknown := set(self.secret) - set(arns):
            raise kit.Refused(f"no secret is called {', '.join(sorted(unknown))}; secrets are {', '.join(arns)}")
        secrets = [_secret(target, name, arn) for name, arn in arns.items()]
        named = [each for each in secrets if each.name in self.secret]
        if by_hand := [each.name for each in named if not each.scheduled]:
            raise kit.Refused(f"{', '.join(by_hand)} has no rotation: give it a schedule (components/rotation.py)")
        now = datetime.now(UTC)
        return Found(secrets, [each for each in named if each.stuck or not each.rotated or now - each.rotated > _APART])

    def plan(self, findings: Found) -> list[kit.Action]:
        return [
            kit.Action(
                id=f"rotate {each.name} from {each.stages[_CURRENT]}",
                what=f"rotate {each.name}" + (", beginning anew" if each.stuck and self.discard_pending else ""),
                before={"secret": each.name, "current": each.stages[_CURRENT], "pending": each.stages.get(_PENDING)},
                after={"current": "a new version", "pending": None},
            )
            for each in findings.due
        ]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        name, before = action.before["secret"], action.before["current"]
        client, arn = target.client("secretsmanager"), _arns(target)[action.before["secret"]]
        found = _secret(target, name, arn)
        if found.stages[_CURRENT] == before:
            if found.stuck and self.discard_pending:
                client.update_secret_version_stage(
                    SecretId=arn, VersionStage=_PENDING, RemoveFromVersionId=found.stages[_PENDING]
                )
            # One that is under way is only tried again.
            with suppress(client.exceptions.InvalidRequestException):
                client.rotate_secret(SecretId=arn, RotateImmediately=True)

        def moved() -> bool:
            now = _secret(target, name, arn)
            return now.stages[_CURRENT] != before and not now.stuck

        if not until(moved, seconds=self.patience, every=2):
            raise RuntimeError(
                f"{name} is not rotated after {self.patience:g} s: read the function's log; the current login still "
                "works; a pending version that can never work is given up with --discard-pending"
            )
        return {"current": _secret(target, name, arn).stages[_CURRENT]}

    def undo(self, target: kit.Target, action: kit.Action, result: Mapping[str, Any], snapshot: Any) -> None:
        name = action.before["secret"]
        arn = _arns(target)[name]
        client, stages = target.client("secretsmanager"), _secret(target, name, arn).stages
        current = stages[_CURRENT]
        if current == action.before["current"]:
            return
        if current != result["current"]:
            raise kit.Stop(f"{name} was rotated again since, to {current}: what was before works no longer")
        # Left on a version that is not current, it would say that a rotation is under way, and keep the next one out.
        if stages.get(_PENDING) == current:
            client.update_secret_version_stage(SecretId=arn, VersionStage=_PENDING, RemoveFromVersionId=current)
        client.update_secret_version_stage(
            SecretId=arn,
            VersionStage=_CURRENT,
            MoveToVersionId=action.before["current"],
            RemoveFromVersionId=current,
        )

    def verify(self, target: kit.Target) -> list[kit.Check]:
        found = self.check(target)
        stuck = [each.name for each in found.secrets if each.stuck]
        named = [each for each in found.secrets if each.name in self.secret]
        return [
            kit.Check("no rotation is stuck", not stuck, ", ".join(stuck)),
            *(kit.Check(f"{each.name} logs in", not (wrong := _tried(target, each)), wrong) for each in named),
        ]


def _arns(target: kit.Target) -> dict[str, str]:
    """The secrets of the environment's stores, by their names in it."""
    known = target.operations
    arns = [*known.database_secret_arns.values(), *known.broker_secret_arns.values()]
    names = {re.sub(r"-\w{6}$", "", arn.rpartition(f":secret:{known.environment}/")[2]): arn for arn in arns}
    return dict(sorted(names.items()))


def _secret(target: kit.Target, name: str, arn: str) -> Secret:
    found = target.client("secretsmanager").describe_secret(SecretId=arn)
    return Secret(
        name=name,
        arn=arn,
        scheduled=found.get("RotationEnabled", False),
        rotated=found.get("LastRotatedDate"),
        following=found.get("NextRotationDate"),
        stages={stage: version for version, stages in found["VersionIdsToStages"].items() for stage in stages},
    )


def _tried(target: kit.Target, secret: Secret) -> str:
    """What the store says against the current login; empty when it lets it in."""
    services = {arn: service for service, arn in target.operations.database_secret_arns.items()}
    try:
        if secret.arn in services:
            with postgresql.connected(target, services[secret.arn]) as database:
                database.rows("SELECT 1")
        else:
            _log_in_to_broker(target, secret.arn)
    except Exception as error:  # of a database or of the broker: the words for a person
        return target.masked(f"{type(error).__name__}: {error}")
    return ""


def _log_in_to_broker(target: kit.Target, arn: str) -> None:
    login = target.secret(arn)
    name, password = login["username"], login["password"]
    if "address" not in login:
        answer = httpx.get(
            f"{login['management']}/api/whoami", auth=(name, password), verify=target.trust, timeout=_SECONDS
        )
        answer.raise_for_status()
        return

    async def connect() -> None:
        url = f"amqps://{quote(name, safe='')}:{quote(password, safe='')}@{login['address']}/platform"
        async with await aio_pika.connect(url, ssl_context=target.trust, timeout=_SECONDS):
            pass

    asyncio.run(connect())


def _said(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="minutes") if moment else None


app = kit.command(SecretRotation)
if __name__ == "__main__":
    app()
