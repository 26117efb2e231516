"""Backups that outlive what they are of: a vault with its own key, a plan, and copies in the recovery Region.

RDS keeps a few weeks of point-in-time recovery itself; this keeps daily points of everything that holds data, for
longer, where the role that runs the platform cannot delete them: the vaults refuse it. In production each point has a
copy in the recovery Region, so that the loss of a Region or of a key is not the loss of the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import backup
from pulumi_aws import iam as aws_iam

from components import encryption, iam
from components.alarm import alarm
from components.context import Context

# UTC: after the databases' own backups, before their maintenance.
_SCHEDULE = "cron(0 3 * * ? *)"
# Minutes: when a job must have begun, and when it must be done (AWS Backup Developer Guide, "Backup window").
_START_WITHIN, _DONE_WITHIN = 60, 360
# Days of AWS Backup's own; a point in cold storage must stay there for 90 (same guide, "Lifecycle").
_LEAST_DAYS, _MOST_DAYS = 1, 36_500
_SERVICE = "backup.amazonaws.com"
_POLICIES = ("AWSBackupServiceRolePolicyForBackup", "AWSBackupServiceRolePolicyForRestores")
# What holds data that nothing else can make again; the partition is filled in.
_HOLDS_DATA = ("arn:{0}:rds:*:*:db:*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupsArgs:
    """``keep_days`` is how long a daily point stays."""

    keep_days: int

    def __post_init__(self) -> None:
        if not _LEAST_DAYS <= self.keep_days <= _MOST_DAYS:
            raise ValueError(
                f"keep_days is {self.keep_days}; AWS Backup keeps a point {_LEAST_DAYS} to {_MOST_DAYS} days: set "
                "guardrails.backup_days"
            )


def vault_policy() -> str:
    """Nobody removes a point before its time; an environment that is to go is unprotected first, without this."""
    return iam.document(
        iam.deny(("backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle"), ("*",), principal="*")
    )


class Backups(pulumi.ComponentResource):
    """A vault, in production a second one abroad, the daily plan, what it covers, and the alarm when it fails."""

    vault_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: BackupsArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:guardrails:Backups", name, None, opts)
        self._name, self._context = name, context
        self._child = pulumi.ResourceOptions(parent=self)
        vault = self._vault(name, None)
        self.vault_name = vault.name
        abroad = self._vault(f"{name}-abroad", context.recovery_region) if context.production else None
        plan = backup.Plan(
            name,
            name=f"{context.environment}-{name}",
            rules=[
                backup.PlanRuleArgs(
                    rule_name="daily",
                    target_vault_name=vault.name,
                    schedule=_SCHEDULE,
                    start_window=_START_WITHIN,
                    completion_window=_DONE_WITHIN,
                    lifecycle=backup.PlanRuleLifecycleArgs(delete_after=args.keep_days),
                    recovery_point_tags=context.tags(name),
                    copy_actions=[
                        backup.PlanRuleCopyActionArgs(
                            destination_vault_arn=abroad.arn,
                            lifecycle=backup.PlanRuleCopyActionLifecycleArgs(delete_after=args.keep_days),
                        )
                    ]
                    if abroad
                    else None,
                )
            ],
            tags=context.tags(name),
            opts=self._child,
        )
        self._select(plan)
        alarm(
            f"{name}-failed",
            context=context,
            says="A backup could not be made.",
            runbook="backup_failed",
            namespace="AWS/Backup",
            metric="NumberOfBackupJobsFailed",
            dimensions={"BackupVaultName": vault.name},
            statistic="Sum",
            period=3600,
            periods=1,
            above=0,
            opts=self._child,
        )
        self.register_outputs({"vault_name": self.vault_name})

    def _vault(self, name: str, region: str | None) -> backup.Vault:
        context = self._context
        key = encryption.key(
            name, context=context, purpose="Backups", services=(_SERVICE,), region=region, opts=self._child
        )
        vault = backup.Vault(
            name,
            name=f"{context.environment}-{name}",
            kms_key_arn=key.arn,
            # A vault with points in it cannot be removed; only an environment that is to go loses them.
            force_destroy=not context.protected,
            region=region,
            tags=context.tags(self._name),
            opts=context.keep(self._child),
        )
        if context.protected:
            backup.VaultPolicy(
                name, backup_vault_name=vault.name, policy=vault_policy(), region=region, opts=self._child
            )
        return vault

    def _select(self, plan: backup.Plan) -> None:
        """What carries the environment's tag and is of a kind that holds data."""
        name, context = self._name, self._context
        role = aws_iam.Role(name, assume_role_policy=context.trust(_SERVICE), tags=context.tags(name), opts=self._child)
        granted = [
            aws_iam.RolePolicyAttachment(
                f"{name}-{policy}",
                role=role.name,
                policy_arn=context.aws_policy(f"service-role/{policy}"),
                opts=self._child,
            )
            for policy in _POLICIES
        ]
        backup.Selection(
            name,
            name=f"{context.environment}-{name}",
            plan_id=plan.id,
            iam_role_arn=role.arn,
            resources=[pulumi.Output.format(arn, context.partition) for arn in _HOLDS_DATA],
            conditions=[
                backup.SelectionConditionArgs(
                    string_equals=[
                        backup.SelectionConditionStringEqualArgs(
                            key="aws:ResourceTag/Environment", value=context.environment
                        )
                    ]
                )
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=granted),
        )
