"""Logins of the environment's stores: which version carries which stage, the next one, and whether it lets one in."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import aio_pika

from runbooks._kit import postgresql
from runbooks._kit.management import SECONDS, VHOST, Management
from runbooks._kit.model import Refused
from runbooks._kit.target import Target, until

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"


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
        return self.stages.get(PENDING) not in (None, self.stages.get(CURRENT))


def secrets(target: Target) -> dict[str, Secret]:
    """The secrets of the environment's stores, by their names in it."""
    return {name: _described(target, name, arn) for name, arn in _arns(target).items()}


def secret(target: Target, name: str) -> Secret:
    """One of them, as it is now."""
    return _described(target, name, _arns(target)[name])


def chosen(found: Mapping[str, Secret], names: list[str]) -> list[Secret]:
    """Those with these names. Raises Refused for one that there is not, or that has no rotation."""
    if unknown := set(names) - set(found):
        raise Refused(f"no secret is called {', '.join(sorted(unknown))}; secrets are {', '.join(found)}")
    named = [each for name, each in found.items() if name in names]
    if by_hand := [each.name for each in named if not each.scheduled]:
        raise Refused(f"{', '.join(by_hand)} has no rotation: give it a schedule (components/rotation.py)")
    return named


def rotate(target: Target, name: str, *, before: str, discard_pending: bool, patience: float) -> str:
    """Go on from the version ``before``, unless that was done; returns the version that is current then.

    Raises RuntimeError when there is none after ``patience`` seconds.
    """
    client, found = target.client("secretsmanager"), secret(target, name)
    if found.stages[CURRENT] == before:
        if found.stuck and discard_pending:
            client.update_secret_version_stage(
                SecretId=found.arn, VersionStage=PENDING, RemoveFromVersionId=found.stages[PENDING]
            )
        # One that is under way is only tried again.
        with suppress(client.exceptions.InvalidRequestException):
            client.rotate_secret(SecretId=found.arn, RotateImmediately=True)

    def moved() -> bool:
        now = secret(target, name)
        return now.stages[CURRENT] != before and not now.stuck

    if not until(moved, seconds=patience, every=2):
        raise RuntimeError(
            f"{name} is not rotated after {patience:g} s: read the function's log; the current login still works; a "
            "pending version that can never work is given up with secret_rotation --discard-pending"
        )
    return secret(target, name).stages[CURRENT]


def service(target: Target, arn: str) -> str:
    """Whose database a login opens; empty for one of the broker."""
    return next((name for name, each in target.operations.database_secret_arns.items() if each == arn), "")


def refusal(target: Target, login: Secret) -> str:
    """What the store says against the current login; empty when it lets it in."""
    try:
        if of := service(target, login.arn):
            with postgresql.connected(target, of) as database:
                database.rows("SELECT 1")
        else:
            _log_in_to_broker(target, login.arn)
    except Exception as error:  # of a database or of the broker: the words for a person
        return target.masked(f"{type(error).__name__}: {error}")
    return ""


def _arns(target: Target) -> dict[str, str]:
    known = target.operations
    arns = [*known.database_secret_arns.values(), *known.broker_secret_arns.values()]
    names = {re.sub(r"-\w{6}$", "", arn.rpartition(f":secret:{known.environment}/")[2]): arn for arn in arns}
    return dict(sorted(names.items()))


def _described(target: Target, name: str, arn: str) -> Secret:
    found = target.client("secretsmanager").describe_secret(SecretId=arn)
    return Secret(
        name=name,
        arn=arn,
        scheduled=found.get("RotationEnabled", False),
        rotated=found.get("LastRotatedDate"),
        following=found.get("NextRotationDate"),
        stages={stage: version for version, stages in found["VersionIdsToStages"].items() for stage in stages},
    )


def _log_in_to_broker(target: Target, arn: str) -> None:
    login = target.secret(arn)
    if "address" not in login:
        with Management.connected(target) as management:
            management.who()
        return
    name, password = (quote(login[part], safe="") for part in ("username", "password"))

    async def connect() -> None:
        url = f"amqps://{name}:{password}@{login['address']}/{VHOST}"
        async with await aio_pika.connect(url, ssl_context=target.trust, timeout=SECONDS):
            pass

    asyncio.run(connect())
