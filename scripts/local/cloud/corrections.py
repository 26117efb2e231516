"""Where moto answers otherwise than AWS, or too slowly, put right; each with the behaviour that AWS documents."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from moto import backends
from moto.backup.models import BackupBackend
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.secretsmanager.models import SecretsManagerBackend
from moto.servicequotas.models import ServiceQuotasBackend
from moto.stepfunctions.models import StepFunctionBackend
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackEndpoint
from moto.stepfunctions.responses import StepFunctionResponse

from scripts.local.cloud import balancers, metrics, mutes, rotations

# Services that sign by another name than policies know them by; moto takes the one for the other.
_CALLED = {"monitoring": "cloudwatch"}
# arn:partition:states:region:account:stateMachine:name; an alias or a version follows after one more.
_ARN_COLONS = 6


def apply() -> None:
    """Correct moto in this process."""
    _current_version_is_the_default()
    _a_condition_that_does_not_hold_takes_its_statement_out()
    _requests_say_what_they_are_about()
    _an_alias_names_its_machine()
    an_answer_before_the_wait_counts()
    _a_deleted_backup_plan_frees_its_name()
    _its_services_are_listed_once()
    _ec2_has_a_quota_of_instances()
    balancers.apply()
    metrics.apply()
    mutes.apply()
    rotations.apply()


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

    Every request counts as made over TLS. What moto does not know of a request, its resource or the tags of that, is
    taken to be as an Allow asks for and not as a Deny does.
    """
    judge = IAMPolicyStatement.is_action_permitted

    def judged(self: Any, action: str, resource: str = "*", principal: Any = None, *values: Any, **named: Any) -> Any:
        known = values[0] if values else named.get("incoming_condition_values")
        service, _, operation = action.partition(":")
        action = f"{_CALLED.get(service, service)}:{operation}"
        conditions, allows = self._statement.get("Condition"), self._statement["Effect"] == "Allow"
        # Those of trust policies come with what they are compared with.
        if known:
            return judge(self, action, resource, principal, known)
        if conditions and not _holds(conditions, allows=allows):
            return PermissionResult.NEUTRAL
        bare = {key: value for key, value in self._statement.items() if key != "Condition"}
        if resource == "*" and allows and "Resource" in bare:
            bare["Resource"] = "*"
        return judge(IAMPolicyStatement(bare), action, resource, principal)

    IAMPolicyStatement.is_action_permitted = judged  # type: ignore[method-assign]


def _holds(conditions: Mapping[str, Mapping[str, str | Iterable[str]]], *, allows: bool) -> bool:
    pairs = [(key, value) for compared in conditions.values() for key, value in compared.items()]
    return all("true" in value if key == "aws:SecureTransport" else allows for key, value in pairs)


def _requests_say_what_they_are_about() -> None:
    """State machines and executions. Moto does it for queues itself, and for other requests not at all."""

    def machine(self: Any) -> str:
        body = _body(self)
        return str(body.get("stateMachineArn") or body.get("executionArn") or "*")

    StepFunctionResponse._determine_resource = machine  # type: ignore[attr-defined]


def _an_alias_names_its_machine() -> None:
    """What takes a state machine takes an alias (StartExecution, API reference); here, whatever the weights."""
    describe = StepFunctionBackend.describe_state_machine

    def described(self: Any, arn: str) -> Any:
        machine, _, last = arn.rpartition(":")
        if arn.count(":") > _ARN_COLONS and not last.isnumeric():
            self.describe_state_machine_alias(arn)
            return describe(self, machine)
        return describe(self, arn)

    StepFunctionBackend.describe_state_machine = described  # type: ignore[method-assign]


def an_answer_before_the_wait_counts() -> None:
    """A task with a heartbeat may be answered as soon as its token is out (SendTaskSuccess, API reference); moto waits
    for the next sign of life without looking whether the last one was the answer.
    """
    prepare = CallbackEndpoint.setup_heartbeat_endpoint

    def prepared(self: Any, heartbeat_seconds: int) -> Any:
        heartbeat = prepare(self, heartbeat_seconds)
        if self.get_outcome() is not None:
            # Without types in moto.
            heartbeat.notify()  # type: ignore[no-untyped-call]
        return heartbeat

    # In place, because moto makes its endpoints itself.
    CallbackEndpoint.setup_heartbeat_endpoint = prepared  # type: ignore[method-assign]


def _a_deleted_backup_plan_frees_its_name() -> None:
    """A plan that was deleted is history (DeleteBackupPlan, API reference); moto goes on counting it."""
    delete = BackupBackend.delete_backup_plan

    def deleted(self: Any, backup_plan_id: str) -> Any:
        answer = delete(self, backup_plan_id)
        del self.plans[backup_plan_id]
        return answer

    BackupBackend.delete_backup_plan = deleted  # type: ignore[method-assign]


def _its_services_are_listed_once() -> None:
    """Moto reads its own folder at every request, a fifth of what a request costs here."""
    services = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: services


def _body(response: Any) -> dict[str, Any]:
    try:
        found = json.loads(response.body or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _ec2_has_a_quota_of_instances() -> None:
    """Moto has the quotas of VPC alone. This is that of a new account (Amazon EC2, "On-Demand Instance quotas")."""
    others = ServiceQuotasBackend.get_service_quota
    instances = {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaCode": "L-1216C47A",
        "QuotaName": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
        "Value": 5.0,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }

    def found(self: Any, service_code: str, quota_code: str) -> dict[str, Any]:
        asked = {"ServiceCode": service_code, "QuotaCode": quota_code}
        return instances if asked.items() <= instances.items() else others(self, service_code, quota_code)

    # In place, because moto makes its backends itself.
    ServiceQuotasBackend.get_service_quota = found  # type: ignore[method-assign]
