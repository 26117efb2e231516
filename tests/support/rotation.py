"""A rotation as Secrets Manager makes it, with the function's own code called in this process."""

from __future__ import annotations

import uuid
from typing import Any

from components.functions.rotation import Store, rotate


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
