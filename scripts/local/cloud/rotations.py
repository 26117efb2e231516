"""Secrets Manager's rotations: a secret's own function is called step by step, as it was deployed (`functions`).

Moto would look for the function in a container, and forget which one it is. A step that fails ends the rotation: its
version stays pending, and the function's error is counted.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from typing import Any

from moto.secretsmanager.exceptions import InvalidRequestException
from moto.secretsmanager.models import SecretsManagerBackend

from scripts.local.cloud import functions

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
_PENDING = ["AWSPENDING"]


def apply() -> None:
    """Teach moto in this process. A call that names a function sets the schedule; of that nothing is pending."""
    scheduled = SecretsManagerBackend.rotate_secret

    def rotate(self: Any, secret_id: str, client_request_token: str | None = None, **asked: Any) -> str:
        if self._is_valid_identifier(secret_id) and asked.get("rotation_lambda_arn") is None:
            return _begin(self, self.secrets[secret_id], client_request_token or str(uuid.uuid4()))
        answer = scheduled(self, secret_id, client_request_token, **asked)
        held = self.secrets[secret_id].versions
        for token in [token for token, version in held.items() if version["version_stages"] == _PENDING]:
            del held[token]
        return answer

    # In place, because moto makes its backends itself.
    SecretsManagerBackend.rotate_secret = rotate  # type: ignore[method-assign, assignment]


def _begin(backend: Any, secret: Any, token: str) -> str:
    """Answered before it has ended, as RotateSecret is."""
    if not secret.rotation_lambda_arn:
        raise InvalidRequestException(f"Secret {secret.name} has no rotation function: give it a schedule first.")
    if any(version["version_stages"] == _PENDING for version in secret.versions.values()):
        raise InvalidRequestException("A previous rotation isn't complete. That rotation will be reattempted.")
    secret.versions[token] = {"createdate": int(time.time()), "version_id": token, "version_stages": list(_PENDING)}
    place = {"account": backend.account_id, "region": backend.region_name}
    threading.Thread(target=_rotate, args=(secret, token, place), daemon=True).start()
    answer: str = secret.to_short_dict(version_id=token)
    return answer


def _rotate(secret: Any, token: str, place: dict[str, str]) -> None:
    name = secret.rotation_lambda_arn.rpartition(":function:")[2]
    for step in STEPS:
        event = json.dumps({"SecretId": secret.arn, "ClientRequestToken": token, "Step": step})
        if functions.run(name, event, endpoint=f"http://127.0.0.1:{os.environ['MOTO_PORT']}", **place).failed:
            return
    secret.last_rotation_date = int(time.time())
