"""Rotate a secret of the local platform: Secrets Manager is asked, as a person asks it on AWS, and calls the function.

Users of the caches are left out: moto has no ModifyUser (their function is tested against a real server by itself).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scripts.local.processes import eventually

# Seconds: four steps, each a process of its own.
_PATIENCE = 60
_CACHES = "rotation-valkey"


class NotRotated(RuntimeError):
    """The secret has no rotation, none that runs locally, or its function failed."""


def rotate_now(client: Callable[[str], Any], secret_id: str, say: Callable[[str], None]) -> None:
    """Rotate ``secret_id``, and wait until it is; ``client`` gives a boto3 client by service. Raises NotRotated."""
    secrets = client("secretsmanager")

    def current() -> list[str]:
        stages = secrets.describe_secret(SecretId=secret_id)["VersionIdsToStages"]
        return [version for version, carried in stages.items() if "AWSCURRENT" in carried]

    function = secrets.describe_secret(SecretId=secret_id).get("RotationLambdaARN", "").rpartition(":function:")[2]
    if not function or _CACHES in function:
        raise NotRotated(
            f"{secret_id} cannot be rotated here: its function is {function or 'none'}; logins of databases and of the "
            "broker, and keys, rotate here"
        )
    before = current()
    secrets.rotate_secret(SecretId=secret_id)
    say(f"{secret_id}: {function} is at work")
    if not eventually(lambda: current() != before, timeout=_PATIENCE, every=0.5):
        raise NotRotated(
            f"{secret_id} is not rotated after {_PATIENCE} s, and its login still works; what {function} said is in "
            "`eventctl local logs cloud`"
        )
