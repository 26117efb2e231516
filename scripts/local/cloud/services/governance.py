"""Guardrails and account services: backup, GuardDuty, Config, CloudTrail, budgets, …"""

from __future__ import annotations

from typing import Any

from scripts.local.cloud.table import Call, Row, Scope, by


def _arn(service: str, kind: str) -> Any:
    return lambda s, _: s.arn(service, f"{kind}{s.id}")


def _simple(token: str, service: str, method: str, id: Any, **more: Any) -> Row:
    """A type with one call to make it; by default any change but of its name is made in place."""
    return Row(
        token=token,
        service=service,
        create=Call(method, more.pop("params", {})),
        id=id,
        name=more.pop("name", None),
        **more,
    )


def _account(scope: Scope, _: Any) -> str:
    return scope.session.account


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
    _simple(
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
    _simple(
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
    _simple(
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
    _simple(
        "aws:backup/vaultLockConfiguration:VaultLockConfiguration",
        "backup",
        "put_backup_vault_lock_configuration",
        "inputs.backupVaultName",
        upsert=True,
        replaces=("backupVaultName",),
    ),
    _simple(
        "aws:backup/vaultPolicy:VaultPolicy",
        "backup",
        "put_backup_vault_access_policy",
        "inputs.backupVaultName",
        upsert=True,
        replaces=("backupVaultName",),
    ),
    _simple(
        "aws:backup/vaultNotifications:VaultNotifications",
        "backup",
        "put_backup_vault_notifications",
        "inputs.backupVaultName",
    ),
    _simple("aws:backup/regionSettings:RegionSettings", "backup", "update_region_settings", _region, upsert=True),
    _simple(
        "aws:guardduty/detector:Detector",
        "guardduty",
        "create_detector",
        "DetectorId",
        params={"Enable": lambda s: s.get("enable", True)},
        read=by("get_detector", {"DetectorId": "id"}),
        delete=by("delete_detector", {"DetectorId": "id"}),
        outputs={"arn": _arn("guardduty", "detector/"), "datasources": lambda s, _: None},
        mutable=("enable", "findingPublishingFrequency", "datasources"),
    ),
    _simple(
        "aws:guardduty/detectorFeature:DetectorFeature",
        "guardduty",
        "update_detector",
        lambda s, _: f"{s['detectorId']}/{s['name']}",
        store=True,
        upsert=True,
        replaces=("detectorId", "name"),
        name="name",
    ),
    _simple(
        "aws:guardduty/publishingDestination:PublishingDestination",
        "guardduty",
        "create_publishing_destination",
        lambda s, _: f"{s['detectorId']}:{s.session.fresh()}",
        store=True,
        params={
            "DestinationProperties": lambda s: {"DestinationArn": s["destinationArn"], "KmsKeyArn": s["kmsKeyArn"]},
            "DestinationType": lambda s: s.get("destinationType", "S3"),
        },
    ),
    _simple(
        "aws:cfg/recorder:Recorder",
        "config",
        "put_configuration_recorder",
        "inputs.name",
        name="name",
        upsert=True,
        params={
            "ConfigurationRecorder": lambda s: {
                "name": s["name"],
                "roleARN": s["roleArn"],
                "recordingGroup": {
                    key: value
                    for key, value in (s["recordingGroup"] or {"allSupported": True}).items()
                    if key in ("allSupported", "includeGlobalResourceTypes", "resourceTypes")
                },
            }
        },
        read=by("describe_configuration_recorders", {"ConfigurationRecorderNames": ["id"]}),
        at="ConfigurationRecorders[0]",
        replaces=("name",),
        outputs={"roleArn": "roleARN", "recordingGroup": lambda s, _: None, "recordingMode": lambda s, _: None},
        delete=by("delete_configuration_recorder", {"ConfigurationRecorderName": "id"}),
    ),
    _simple(
        "aws:cfg/deliveryChannel:DeliveryChannel",
        "config",
        "put_delivery_channel",
        "inputs.name",
        name="name",
        upsert=True,
        replaces=("name",),
        params={
            "DeliveryChannel": lambda s: {
                key: value
                for key, value in {
                    "name": s["name"],
                    "s3BucketName": s["s3BucketName"],
                    "s3KeyPrefix": s["s3KeyPrefix"],
                    "snsTopicARN": s["snsTopicArn"],
                }.items()
                if value
            }
        },
        read=by("describe_delivery_channels", {"DeliveryChannelNames": ["id"]}),
        at="DeliveryChannels[0]",
        delete=by("delete_delivery_channel", {"DeliveryChannelName": "id"}),
    ),
    _simple(
        "aws:cfg/recorderStatus:RecorderStatus",
        "config",
        "start_configuration_recorder",
        "inputs.name",
        upsert=True,
        params={"ConfigurationRecorderName": "name"},
        replaces=("name",),
        read=by("describe_configuration_recorder_status", {"ConfigurationRecorderNames": ["id"]}),
        at="ConfigurationRecordersStatus[0]",
        delete=by("stop_configuration_recorder", {"ConfigurationRecorderName": "id"}),
    ),
    _simple(
        "aws:cfg/rule:Rule",
        "config",
        "put_config_rule",
        "inputs.name",
        name="name",
        upsert=True,
        replaces=("name",),
        params={
            "ConfigRule": lambda s: {
                key: value
                for key, value in {
                    "ConfigRuleName": s["name"],
                    "Description": s["description"],
                    "InputParameters": s["inputParameters"],
                    "Source": {"Owner": s["source"]["owner"], "SourceIdentifier": s["source"].get("sourceIdentifier")}
                    if s["source"]
                    else None,
                }.items()
                if value
            }
        },
        read=by("describe_config_rules", {"ConfigRuleNames": ["id"]}),
        at="ConfigRules[0]",
        outputs={"arn": "ConfigRuleArn", "ruleId": "ConfigRuleId", "source": lambda s, _: None},
        delete=by("delete_config_rule", {"ConfigRuleName": "id"}),
    ),
    _simple(
        "aws:cloudtrail/trail:Trail",
        "cloudtrail",
        "create_trail",
        "TrailARN",
        name="name",
        params={"CloudWatchLogsLogGroupArn": "cloudWatchLogsGroupArn"},
        read=by("get_trail", {"Name": "id"}),
        at="Trail",
        after=(Call("put_event_selectors", {"TrailName": "id"}, when=("eventSelectors",)),),
        update=(Call("update_trail", {"Name": "id", "CloudWatchLogsLogGroupArn": "cloudWatchLogsGroupArn"}),),
        delete=by("delete_trail", {"Name": "id"}),
        names={"arn": "TrailARN", "enableLogFileValidation": "EnableLogFileValidation"},
        made=lambda s: (
            s.call("cloudtrail", "start_logging" if s.get("enableLogging", True) else "stop_logging", Name=s.id)
            and None
        ),
        longest=128,
    ),
    _simple(
        "aws:budgets/budget:Budget",
        "budgets",
        "create_budget",
        lambda s, _: f"{s.session.account}:{s['name']}",
        name="name",
        longest=100,
        params={
            "AccountId": lambda s: s.session.account,
            "Budget": lambda s: {
                "BudgetName": s["name"],
                "BudgetType": s["budgetType"],
                "TimeUnit": s["timeUnit"],
                "BudgetLimit": {"Amount": str(s["limitAmount"]), "Unit": s["limitUnit"]},
            },
        },
        read=by("describe_budget", {"AccountId": lambda s: s.session.account, "BudgetName": "name"}),
        at="Budget",
        delete=by("delete_budget", {"AccountId": lambda s: s.session.account, "BudgetName": "name"}),
        outputs={
            "arn": lambda s, _: s.arn("budgets", f"budget/{s['name']}", region=""),
            "notifications": lambda s, _: None,
            "timePeriodStart": lambda s, _: None,
            "timePeriodEnd": lambda s, _: None,
        },
        why="moto has no UpdateBudget: changes stay in the stack's state",
    ),
    _simple(
        "aws:accessanalyzer/analyzer:Analyzer",
        "accessanalyzer",
        "create_analyzer",
        "inputs.analyzerName",
        params={"type": lambda s: s.get("type", "ACCOUNT")},
        outputs={"arn": lambda s, _: s.arn("access-analyzer", f"analyzer/{s.id}")},
        store=True,
        name="analyzerName",
    ),
    _simple(
        "aws:securityhub/account:Account",
        "securityhub",
        "enable_security_hub",
        _account,
        store=True,
        outputs={"arn": lambda s, _: s.arn("securityhub", "hub/default")},
        mutable=("autoEnableControls",),
    ),
    _simple(
        "aws:securityhub/standardsSubscription:StandardsSubscription",
        "securityhub",
        "batch_enable_standards",
        lambda s, _: f"{s['standardsArn']}/subscription",
        store=True,
        params={"StandardsSubscriptionRequests": lambda s: [{"StandardsArn": s["standardsArn"]}]},
    ),
    _simple("aws:inspector2/enabler:Enabler", "inspector2", "enable", _account, store=True),
    _simple("aws:macie2/account:Account", "macie2", "enable_macie", _account, store=True),
    _simple(
        "aws:ssm/parameter:Parameter",
        "ssm",
        "put_parameter",
        "inputs.name",
        name="name",
        upsert=True,
        params={
            "Overwrite": lambda s: True if s.old else None,
            "KeyId": "keyId",
            "Value": lambda s: s["value"] if s["value"] is not None else s["insecureValue"],
        },
        read=by("get_parameter", {"Name": "id"}),
        at="Parameter",
        delete=by("delete_parameter", {"Name": "id"}),
        outputs={"arn": "ARN", "version": "Version", "value": lambda s, _: None},
        replaces=("name", "type"),
        tag_key="id",
    ),
    _simple(
        "aws:ssm/serviceSetting:ServiceSetting",
        "ssm",
        "update_service_setting",
        "inputs.settingId",
        upsert=True,
        replaces=("settingId",),
        outputs={"arn": lambda s, _: s.id, "status": lambda s, _: "Customized"},
    ),
    _simple(
        "aws:dynamodb/table:Table",
        "dynamodb",
        "create_table",
        "inputs.name",
        name="name",
        params={
            "AttributeDefinitions": lambda s: [
                {"AttributeName": each["name"], "AttributeType": each["type"]} for each in s["attributes"] or []
            ],
            "KeySchema": lambda s: (
                [{"AttributeName": s["hashKey"], "KeyType": "HASH"}]
                + ([{"AttributeName": s["rangeKey"], "KeyType": "RANGE"}] if s["rangeKey"] else [])
            ),
            "BillingMode": lambda s: s.get("billingMode", "PROVISIONED"),
            "ProvisionedThroughput": lambda s: (
                None
                if s["billingMode"] == "PAY_PER_REQUEST"
                else {"ReadCapacityUnits": s.get("readCapacity", 1), "WriteCapacityUnits": s.get("writeCapacity", 1)}
            ),
            "SSESpecification": lambda s: (
                {"Enabled": s["serverSideEncryption"]["enabled"]} if s["serverSideEncryption"] else None
            ),
        },
        read=by("describe_table", {"TableName": "id"}),
        at="Table",
        after=(
            Call(
                "update_continuous_backups",
                {
                    "TableName": "id",
                    "PointInTimeRecoverySpecification": lambda s: {
                        "PointInTimeRecoveryEnabled": s["pointInTimeRecovery"]["enabled"]
                    },
                },
                when=("pointInTimeRecovery",),
                auto=False,
            ),
        ),
        delete=by("delete_table", {"TableName": "id"}),
        names={"name": "TableName", "arn": "TableArn"},
        outputs={"attributes": lambda s, _: None, "serverSideEncryption": lambda s, _: None},
        replaces=("hashKey", "rangeKey"),
        mutable=(
            "attributes",
            "billingMode",
            "readCapacity",
            "writeCapacity",
            "deletionProtectionEnabled",
            "globalSecondaryIndexes",
            "tableClass",
        ),
    ),
    _simple(
        "aws:appautoscaling/target:Target",
        "application-autoscaling",
        "register_scalable_target",
        lambda s, _: f"{s['serviceNamespace']}/{s['resourceId']}/{s['scalableDimension']}",
        upsert=True,
        read=by("describe_scalable_targets", {"ServiceNamespace": "serviceNamespace", "ResourceIds": ["resourceId"]}),
        at="ScalableTargets[0]",
        names={"roleArn": "RoleARN"},
        delete=by(
            "deregister_scalable_target",
            {
                "ServiceNamespace": "serviceNamespace",
                "ResourceId": "resourceId",
                "ScalableDimension": "scalableDimension",
            },
        ),
        outputs={"arn": lambda s, a: a.get("ScalableTargetARN"), "suspendedState": lambda s, _: None},
        replaces=("resourceId", "scalableDimension", "serviceNamespace"),
    ),
    _simple(
        "aws:appautoscaling/policy:Policy",
        "application-autoscaling",
        "put_scaling_policy",
        "inputs.name",
        name="name",
        upsert=True,
        names={
            "name": "PolicyName",
            "targetTrackingScalingPolicyConfiguration": "TargetTrackingScalingPolicyConfiguration",
        },
        read=by("describe_scaling_policies", {"ServiceNamespace": "serviceNamespace", "PolicyNames": ["id"]}),
        at="ScalingPolicies[0]",
        replaces=("name", "resourceId", "scalableDimension", "serviceNamespace"),
        outputs={
            "arn": "PolicyARN",
            "stepScalingPolicyConfiguration": lambda s, _: None,
            "targetTrackingScalingPolicyConfiguration": lambda s, _: None,
        },
        delete=by(
            "delete_scaling_policy",
            {
                "PolicyName": "id",
                "ServiceNamespace": "serviceNamespace",
                "ResourceId": "resourceId",
                "ScalableDimension": "scalableDimension",
            },
        ),
    ),
    _simple(
        "aws:autoscaling/group:Group",
        "autoscaling",
        "create_auto_scaling_group",
        "inputs.name",
        name="name",
        params={
            "VPCZoneIdentifier": lambda s: (
                ",".join(map(str, s["vpcZoneIdentifiers"])) if s["vpcZoneIdentifiers"] else None
            ),
            "LaunchTemplate": lambda s: (
                {
                    key: value
                    for key, value in (
                        ("LaunchTemplateId", s["launchTemplate"].get("id")),
                        ("LaunchTemplateName", s["launchTemplate"].get("name")),
                        ("Version", s["launchTemplate"].get("version")),
                    )
                    if value is not None
                }
                if s["launchTemplate"]
                else None
            ),
            "Tags": lambda s: [
                {"Key": t["key"], "Value": t["value"], "PropagateAtLaunch": t["propagateAtLaunch"]}
                for t in s["tags"] or []
            ],
        },
        read=by("describe_auto_scaling_groups", {"AutoScalingGroupNames": ["id"]}),
        at="AutoScalingGroups[0]",
        update=(Call("update_auto_scaling_group", {"AutoScalingGroupName": "id"}),),
        delete=by("delete_auto_scaling_group", {"AutoScalingGroupName": "id", "ForceDelete": "forceDelete"}),
        names={"name": "AutoScalingGroupName", "arn": "AutoScalingGroupARN"},
        outputs={"vpcZoneIdentifiers": lambda s, _: None, "launchTemplate": lambda s, _: None},
        mutable=("launchTemplate", "vpcZoneIdentifiers", "tags"),
    ),
    _simple(
        "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream",
        "firehose",
        "create_delivery_stream",
        "inputs.name",
        name="name",
        params={
            "ExtendedS3DestinationConfiguration": lambda s: (
                {
                    "RoleARN": s["extendedS3Configuration"]["roleArn"],
                    "BucketARN": s["extendedS3Configuration"]["bucketArn"],
                }
                if s["extendedS3Configuration"]
                else None
            )
        },
        read=by("describe_delivery_stream", {"DeliveryStreamName": "id"}),
        at="DeliveryStreamDescription",
        delete=by("delete_delivery_stream", {"DeliveryStreamName": "id"}),
        names={"name": "DeliveryStreamName", "arn": "DeliveryStreamARN"},
        tag_key="id",
        mutable=("extendedS3Configuration",),
        longest=64,
    ),
    _simple(
        "aws:servicequotas/serviceQuota:ServiceQuota",
        "service-quotas",
        "request_service_quota_increase",
        lambda s, _: f"{s['serviceCode']}/{s['quotaCode']}",
        upsert=True,
        params={"DesiredValue": "value"},
    ),
    _simple(
        "aws:resourcegroups/group:Group",
        "resource-groups",
        "create_group",
        "inputs.name",
        name="name",
        store=True,
        outputs={"arn": lambda s, _: s.arn("resource-groups", f"group/{s.id}")},
    ),
    _simple(
        "aws:sesv2/emailIdentity:EmailIdentity",
        "sesv2",
        "create_email_identity",
        "inputs.emailIdentity",
        store=True,
        outputs={"arn": lambda s, _: s.arn("ses", f"identity/{s.id}")},
    ),
)
