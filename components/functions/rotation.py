"""The four steps of a rotation, as Secrets Manager calls them; what differs between engines is a `Store`.

Secrets Manager calls createSecret, setSecret, testSecret and finishSecret in turn, and any of them again after a
failure: each finds out what is already done (Secrets Manager User Guide, "Lambda functions for rotation"). The value
that works never stops working half way: a store keeps the old login until the new one was tried.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, Protocol

Secret = dict[str, str]
log = logging.getLogger()
log.setLevel(logging.INFO)

# Letters and digits: a password that needs no escaping in a URL, and that every engine takes.
_PASSWORD_LENGTH = 32


class NotRotatable(RuntimeError):
    """The event does not fit the secret: it is not enabled for rotation, or the version is not pending."""


class Store(Protocol):
    """What knows the logins: a database, a broker, a cache."""

    def following(self, current: Secret, password: str) -> Secret:
        """The value that comes after ``current``."""

    def grant(self, current: Secret, pending: Secret) -> None:
        """Let ``pending`` in; ``current`` goes on working. Safe to repeat."""

    def try_out(self, pending: Secret) -> None:
        """Log in as ``pending``. Raises whatever the engine answers."""


def rotate(event: Mapping[str, Any], store: Store, client: Any) -> None:
    """Do one step. Raises NotRotatable, ValueError for an unknown step, and what store and Secrets Manager raise."""
    arn, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    described = client.describe_secret(SecretId=arn)
    stages = described["VersionIdsToStages"].get(token, [])
    if not described.get("RotationEnabled"):
        raise NotRotatable(f"{arn} is not enabled for rotation; give it a schedule first")
    if "AWSCURRENT" in stages:
        log.info("%s of %s: version %s is current already", step, arn, token)
        return
    if "AWSPENDING" not in stages:
        raise NotRotatable(f"version {token} of {arn} is {stages or 'unknown'}, it must be AWSPENDING")
    steps = {
        "createSecret": lambda: _create(client, arn, token, store),
        "setSecret": lambda: store.grant(_value(client, arn, "AWSCURRENT"), _value(client, arn, "AWSPENDING", token)),
        "testSecret": lambda: store.try_out(_value(client, arn, "AWSPENDING", token)),
        "finishSecret": lambda: _finish(client, arn, token, described["VersionIdsToStages"]),
    }
    if step not in steps:
        raise ValueError(f"Step is {step!r}; Secrets Manager sends {', '.join(steps)}")
    steps[step]()
    log.info("%s of %s done", step, arn)


def _create(client: Any, arn: str, token: str, store: Store) -> None:
    current = _value(client, arn, "AWSCURRENT")
    try:
        _value(client, arn, "AWSPENDING", token)
    except client.exceptions.ResourceNotFoundException:
        drawn = client.get_random_password(PasswordLength=_PASSWORD_LENGTH, ExcludePunctuation=True)["RandomPassword"]
        client.put_secret_value(
            SecretId=arn,
            ClientRequestToken=token,
            SecretString=json.dumps(store.following(current, drawn), sort_keys=True),
            VersionStages=["AWSPENDING"],
        )


def _finish(client: Any, arn: str, token: str, stages: Mapping[str, list[str]]) -> None:
    [current] = [version for version, names in stages.items() if "AWSCURRENT" in names]
    client.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
    )


def _value(client: Any, arn: str, stage: str, token: str | None = None) -> Secret:
    version = {"VersionId": token} if token else {}
    found: Secret = json.loads(client.get_secret_value(SecretId=arn, VersionStage=stage, **version)["SecretString"])
    return found


def alternate(username: str) -> str:
    """The other of two logins that take turns: while one is in use, the other gets its next password."""
    return username.removesuffix("_b") if username.endswith("_b") else f"{username}_b"
