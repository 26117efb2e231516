"""AWS Backup: vaults, plans, selections."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud.services.simple import simple
from scripts.local.cloud.table import Scope, by


def _region(scope: Scope, _: Any) -> str:
    return scope.region


def _fresh(scope: Scope, _: Any) -> str:
    return scope.session.fresh(32)


_BACKUP_RULE = {
    "ruleName": "RuleName",
    "targetVaultName": "TargetBackupVaultName",
    "schedule": "ScheduleExpression",
    "startWindow": "StartWindowMinutes",
    "completionWindow": "CompletionWindowMinutes",
    "enableContinuousBackup": "EnableContinuousBackup",
}


def _backup_plan(scope: Scope) -> dict[str, Any]:
    rules = []
    for rule in scope["rules"] or []:
        made = {key: rule[name] for name, key in _BACKUP_RULE.items() if rule.get(name) is not None}
        if life := rule.get("lifecycle"):
            made["Lifecycle"] = {
                key: life[name]
                for name, key in (
                    ("deleteAfter", "DeleteAfterDays"),
                    ("coldStorageAfter", "MoveToColdStorageAfterDays"),
                )
                if life.get(name) is not None
            }
        if copies := rule.get("copyActions"):
            made["CopyActions"] = [{"DestinationBackupVaultArn": each["destinationVaultArn"]} for each in copies]
        rules.append(made)
    return {"BackupPlanName": scope["name"], "Rules": rules}


ROWS = (
    simple(
        "aws:backup/vault:Vault",
        "backup",
        "create_backup_vault",
        "inputs.name",
        name="name",
        longest=50,
        read=by("describe_backup_vault", {"BackupVaultName": "id"}),
        delete=by("delete_backup_vault", {"BackupVaultName": "id"}),
        names={"name": "BackupVaultName", "arn": "BackupVaultArn", "kmsKeyArn": "EncryptionKeyArn"},
    ),
    simple(
        "aws:backup/plan:Plan",
        "backup",
        "create_backup_plan",
        "BackupPlanId",
        name="name",
        params={"BackupPlan": _backup_plan},
        read=by("get_backup_plan", {"BackupPlanId": "id"}),
        delete=by("delete_backup_plan", {"BackupPlanId": "id"}),
        names={"arn": "BackupPlanArn"},
        outputs={"version": "VersionId", "rules": lambda s, _: None},
        why="moto has no UpdateBackupPlan: changes stay in the stack's state",
    ),
    simple(
        "aws:backup/selection:Selection",
        "backup",
        "create_backup_selection",
        _fresh,
        name="name",
        store=True,
        params={
            "BackupPlanId": "planId",
            "BackupSelection": lambda s: {
                "SelectionName": s["name"],
                "IamRoleArn": s["iamRoleArn"],
                "Resources": s.get("resources", []),
            },
        },
    ),
    simple(
        "aws:backup/vaultLockConfiguration:VaultLockConfiguration",
        "backup",
        "put_backup_vault_lock_configuration",
        "inputs.backupVaultName",
        upsert=True,
        replaces=("backupVaultName",),
    ),
    simple(
        "aws:backup/vaultPolicy:VaultPolicy",
        "backup",
        "put_backup_vault_access_policy",
        "inputs.backupVaultName",
        upsert=True,
        replaces=("backupVaultName",),
    ),
    simple(
        "aws:backup/vaultNotifications:VaultNotifications",
        "backup",
        "put_backup_vault_notifications",
        "inputs.backupVaultName",
    ),
    simple("aws:backup/regionSettings:RegionSettings", "backup", "update_region_settings", _region, upsert=True),
)
