"""Guardrails and account services: GuardDuty, Config, CloudTrail, budgets, …"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.local.cloud.services.simple import simple
from scripts.local.cloud.table import Call, Row, Scope, by


def _arn(service: str, kind: str) -> Any:
    return lambda s, _: s.arn(service, f"{kind}{s.id}")


def _account(scope: Scope, _: Any) -> str:
    return scope.session.account


_PARAMETER: Mapping[str, Any] = {
    "KeyId": "keyId",
    "Value": lambda s: s["value"] if s["value"] is not None else s["insecureValue"],
}

ROWS = (
    simple(
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
    simple(
        "aws:guardduty/detectorFeature:DetectorFeature",
        "guardduty",
        "update_detector",
        lambda s, _: f"{s['detectorId']}/{s['name']}",
        store=True,
        upsert=True,
        replaces=("detectorId", "name"),
        name="name",
    ),
    simple(
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
    simple(
        "aws:cfg/recorder:Recorder",
        "config",
        "put_configuration_recorder",
        "inputs.name",
        name="name",
        uses=("recordingGroup", "roleArn"),
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
    simple(
        "aws:cfg/deliveryChannel:DeliveryChannel",
        "config",
        "put_delivery_channel",
        "inputs.name",
        name="name",
        uses=("s3BucketName", "s3KeyPrefix", "snapshotDeliveryProperties", "snsTopicArn"),
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
    simple(
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
    simple(
        "aws:cfg/rule:Rule",
        "config",
        "put_config_rule",
        "inputs.name",
        name="name",
        uses=("description", "inputParameters", "source"),
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
    simple(
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
    simple(
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
    simple(
        "aws:accessanalyzer/analyzer:Analyzer",
        "accessanalyzer",
        "create_analyzer",
        "inputs.analyzerName",
        params={"type": lambda s: s.get("type", "ACCOUNT")},
        outputs={"arn": lambda s, _: s.arn("access-analyzer", f"analyzer/{s.id}")},
        store=True,
        name="analyzerName",
    ),
    simple(
        "aws:securityhub/account:Account",
        "securityhub",
        "enable_security_hub",
        _account,
        store=True,
        outputs={"arn": lambda s, _: s.arn("securityhub", "hub/default")},
        mutable=("autoEnableControls",),
    ),
    simple(
        "aws:securityhub/standardsSubscription:StandardsSubscription",
        "securityhub",
        "batch_enable_standards",
        lambda s, _: f"{s['standardsArn']}/subscription",
        store=True,
        params={"StandardsSubscriptionRequests": lambda s: [{"StandardsArn": s["standardsArn"]}]},
    ),
    simple("aws:inspector2/enabler:Enabler", "inspector2", "enable", _account, store=True),
    simple("aws:macie2/account:Account", "macie2", "enable_macie", _account, store=True),
    Row(
        token="aws:ssm/parameter:Parameter",
        service="ssm",
        create=Call("put_parameter", _PARAMETER, uses=("value", "insecureValue")),
        id="inputs.name",
        read=by("get_parameter", {"Name": "id"}),
        at="Parameter",
        # Systems Manager takes tags with a new parameter alone.
        update=(
            Call(
                "put_parameter",
                {**_PARAMETER, "Overwrite": lambda _: True, "Tags": lambda _: None},
                when=("value", "insecureValue", "description", "tier", "keyId"),
            ),
        ),
        delete=by("delete_parameter", {"Name": "id"}),
        outputs={"arn": "ARN", "version": "Version", "value": lambda s, _: None},
        replaces=("name", "type"),
        tag_key="id",
    ),
    simple(
        "aws:ssm/serviceSetting:ServiceSetting",
        "ssm",
        "update_service_setting",
        "inputs.settingId",
        upsert=True,
        replaces=("settingId",),
        outputs={"arn": lambda s, _: s.id, "status": lambda s, _: "Customized"},
    ),
    simple(
        "aws:servicequotas/serviceQuota:ServiceQuota",
        "service-quotas",
        "request_service_quota_increase",
        lambda s, _: f"{s['serviceCode']}/{s['quotaCode']}",
        upsert=True,
        params={"DesiredValue": "value"},
    ),
    simple(
        "aws:resourcegroups/group:Group",
        "resource-groups",
        "create_group",
        "inputs.name",
        name="name",
        store=True,
        outputs={"arn": lambda s, _: s.arn("resource-groups", f"group/{s.id}")},
    ),
)
