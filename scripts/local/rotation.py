"""Rotate a secret on the local platform, as Secrets Manager does on AWS: the function's own code, step by step.

The simulated AWS runs no Lambda functions. Here the same code runs in this process, against the same servers. Users of
the caches are left out: moto has no ModifyUser (their function is tested against a real server by itself).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from components.functions.rotation import Store, rotate
from components.functions.rotation_key import Key
from components.functions.rotation_postgresql import PostgreSQL
from components.functions.rotation_rabbitmq import RabbitMQ

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
Client = Callable[[str], Any]
# The function's name ends in what it rotates.
_STORES: Mapping[str, Callable[[Client], Store]] = {
    "rotation-postgresql": lambda client: PostgreSQL(client("secretsmanager")),
    "rotation-rabbitmq": lambda client: RabbitMQ(client("secretsmanager")),
    "rotation-key": lambda _: Key(),
}


class NotScheduled(ValueError):
    """The secret has no rotation, or none that runs locally."""


class Rotation:
    """One rotation of one secret; its version is pending from the start, as Secrets Manager makes it."""

    def __init__(self, client: Any, secret_id: str) -> None:
        self._client, self.secret_id, self.token = client, secret_id, str(uuid.uuid4())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def describe_secret(self, **arguments: Any) -> dict[str, Any]:
        """What Secrets Manager says of the secret, with this rotation's version."""
        found: dict[str, Any] = self._client.describe_secret(**arguments)
        found["VersionIdsToStages"].setdefault(self.token, ["AWSPENDING"])
        return found

    def step(self, step: str, store: Store) -> None:
        """Call the function for one step. Raises what it raises."""
        rotate({"SecretId": self.secret_id, "ClientRequestToken": self.token, "Step": step}, store, self)


def rotate_now(client: Client, secret_id: str, say: Callable[[str], None]) -> None:
    """Rotate ``secret_id``; ``client`` gives a boto3 client by service. Raises NotScheduled, and what a step raises."""
    secrets = client("secretsmanager")
    function = secrets.describe_secret(SecretId=secret_id).get("RotationLambdaARN", "")
    store = next((make for name, make in _STORES.items() if name in function), None)
    if store is None:
        raise NotScheduled(
            f"{secret_id} cannot be rotated here: its function is {function or 'none'}, and those that run locally are "
            f"{', '.join(_STORES)}"
        )
    rotation, made = Rotation(secrets, secret_id), store(client)
    for step in STEPS:
        say(f"{secret_id}: {step}")
        rotation.step(step, made)
