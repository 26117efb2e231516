"""Where moto answers otherwise than AWS, put right; each with the behaviour that AWS documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.secretsmanager.models import SecretsManagerBackend


def apply() -> None:
    """Correct moto in this process."""
    _current_version_is_the_default()
    _a_condition_that_does_not_hold_takes_its_statement_out()


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


def _a_condition_that_does_not_hold_takes_its_statement_out() -> None:
    """Moto denies a request for it (IAM User Guide, "Policy evaluation logic": such a statement does not apply).

    Every request counts as made over TLS. What moto does not know of a request, tags of resources among them, is
    taken to be as an Allow asks for and not as a Deny does.
    """
    judge = IAMPolicyStatement.is_action_permitted

    def judged(self: Any, action: str, resource: str = "*", principal: Any = None, known: Any = None) -> Any:
        conditions = self._statement.get("Condition")
        # Those of trust policies come with what they are compared with.
        if not conditions or known:
            return judge(self, action, resource, principal, known)
        if not _holds(conditions, allows=self._statement["Effect"] == "Allow"):
            return PermissionResult.NEUTRAL
        bare = {key: value for key, value in self._statement.items() if key != "Condition"}
        return judge(IAMPolicyStatement(bare), action, resource, principal)

    IAMPolicyStatement.is_action_permitted = judged  # type: ignore[method-assign]


def _holds(conditions: Mapping[str, Mapping[str, str | Iterable[str]]], *, allows: bool) -> bool:
    pairs = [(key, value) for compared in conditions.values() for key, value in compared.items()]
    return all("true" in value if key == "aws:SecureTransport" else allows for key, value in pairs)
