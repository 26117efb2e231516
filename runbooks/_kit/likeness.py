"""What makes one RDS instance like another: what has to be said when it is restored, and what has to hold then."""

from __future__ import annotations

from typing import Any

from runbooks._kit.rds import Instance

# By the names that RDS takes and gives alike. The key is the original's without being said.
_SAID = ("AutoMinorVersionUpgrade", "BackupRetentionPeriod", "CACertificateIdentifier", "CopyTagsToSnapshot",
         "DBInstanceClass", "DeletionProtection", "MaxAllocatedStorage", "MultiAZ", "PreferredBackupWindow",
         "PubliclyAccessible", "StorageType")  # fmt: skip
_GIVEN = ("IAMDatabaseAuthenticationEnabled", "KmsKeyId", "StorageEncrypted")


def explicit(original: Instance) -> dict[str, Any]:
    """Arguments of a restore: left out, RDS chooses the VPC's default group, no standby and no protection."""
    facts = original.facts
    secret = facts.get("MasterUserSecret")
    return {
        **{name: facts[name] for name in _SAID if name in facts},
        "DBSubnetGroupName": facts["DBSubnetGroup"]["DBSubnetGroupName"],
        "VpcSecurityGroupIds": [each["VpcSecurityGroupId"] for each in facts["VpcSecurityGroups"]],
        "DBParameterGroupName": facts["DBParameterGroups"][0]["DBParameterGroupName"],
        "EnableIAMDatabaseAuthentication": facts["IAMDatabaseAuthenticationEnabled"],
        "EnableCloudwatchLogsExports": facts.get("EnabledCloudwatchLogsExports", []),
        "Tags": [tag for tag in facts.get("TagList", []) if not tag["Key"].startswith("aws:")],
        # A secret of its own: the original's goes on rotating with the original.
        **({"ManageMasterUserPassword": True, "MasterUserSecretKmsKeyId": secret["KmsKeyId"]} if secret else {}),
    }


def differences(original: Instance, restored: Instance) -> list[tuple[str, Any, Any]]:
    """Settings that are not those of the original, with both values."""
    wanted, there = _settings(original), _settings(restored)
    return [(name, value, there[name]) for name, value in wanted.items() if there[name] != value]


def _settings(instance: Instance) -> dict[str, Any]:
    facts = instance.facts
    return {
        **{name: facts.get(name) for name in (*_SAID, *_GIVEN)},
        "DBSubnetGroupName": facts.get("DBSubnetGroup", {}).get("DBSubnetGroupName"),
        "VpcSecurityGroupIds": sorted(each["VpcSecurityGroupId"] for each in facts.get("VpcSecurityGroups", [])),
        "DBParameterGroupName": next((each["DBParameterGroupName"] for each in facts.get("DBParameterGroups", [])), ""),
        "EnableCloudwatchLogsExports": sorted(facts.get("EnabledCloudwatchLogsExports", [])),
    }
