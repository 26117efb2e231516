"""Where moto answers otherwise than AWS, put right; each with the behaviour that AWS documents."""

from __future__ import annotations

from typing import Any

from moto.secretsmanager.models import SecretsManagerBackend


def apply() -> None:
    """Correct moto in this process."""
    _current_version_is_the_default()


def _current_version_is_the_default() -> None:
    """Without a stage, GetSecretValue answers with AWSCURRENT (its API reference), also after the stage has moved."""
    moved = SecretsManagerBackend.update_secret_version_stage

    def update(self: Any, secret_id: str, version_stage: str, *ends: Any, **named: Any) -> Any:
        answer = moved(self, secret_id, version_stage, *ends, **named)
        secret = self.secrets[secret_id]
        current = [version for version, held in secret.versions.items() if "AWSCURRENT" in held["version_stages"]]
        if current:
            secret.default_version_id = current[0]
        return answer

    # In place, because moto makes its backends itself.
    SecretsManagerBackend.update_secret_version_stage = update  # type: ignore[method-assign]
