"""CloudWatch alarms, dashboards and logs; X-Ray."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud.backend import Refused
from scripts.local.cloud.table import Call, Literal, Row, Scope, by


def _ever(scope: Scope) -> None:
    """Retention 0 means for ever, which is a deletion of the policy and no value of it."""
    days = scope.inputs.get("retentionInDays")
    if days:
        scope.call("logs", "put_retention_policy", logGroupName=scope.id, retentionInDays=int(days))
    elif scope.old.get("retentionInDays"):
        scope.call("logs", "delete_retention_policy", logGroupName=scope.id)


def _allowed_retention(scope: Scope) -> None:
    # PutRetentionPolicy lists them; botocore's model does not.
    allowed = (
        0,
        1,
        3,
        5,
        7,
        14,
        30,
        60,
        90,
        120,
        150,
        180,
        365,
        400,
        545,
        731,
        1096,
        1827,
        2192,
        2557,
        2922,
        3288,
        3653,
    )
    days = scope.inputs.get("retentionInDays")
    if isinstance(days, int) and days not in allowed:
        raise Refused("retentionInDays", f"is {days}, but must be one of {', '.join(map(str, allowed))}")


def _metric_name(scope: Scope) -> None:
    if scope["metricName"] is None and not scope["metricQueries"]:
        raise Refused("metricName", "or metricQueries is required")


def _queries(scope: Scope) -> Any:
    """Metric math: a block of the provider's is flat where CloudWatch nests."""
    given = scope["metricQueries"]
    if not isinstance(given, list):
        return given
    names = {"id": "Id", "expression": "Expression", "label": "Label", "returnData": "ReturnData", "period": "Period"}
    found = []
    for query in given:
        one = {parameter: query[name] for name, parameter in names.items() if query.get(name) is not None}
        if metric := query.get("metric"):
            one["MetricStat"] = {
                "Metric": {
                    "Namespace": metric.get("namespace"),
                    "MetricName": metric.get("metricName"),
                    "Dimensions": [
                        {"Name": name, "Value": value} for name, value in (metric.get("dimensions") or {}).items()
                    ],
                },
                "Period": metric.get("period"),
                "Stat": metric.get("stat"),
            }
        found.append(one)
    return found


_SAMPLING = {
    "ruleName": "RuleName",
    "resourceArn": "ResourceARN",
    "priority": "Priority",
    "fixedRate": "FixedRate",
    "reservoirSize": "ReservoirSize",
    "serviceName": "ServiceName",
    "serviceType": "ServiceType",
    "host": "Host",
    "httpMethod": "HTTPMethod",
    "urlPath": "URLPath",
    "version": "Version",
    "attributes": "Attributes",
}


def _sampling_rule(scope: Scope) -> dict[str, object]:
    return {parameter: scope[name] for name, parameter in _SAMPLING.items() if scope[name] is not None}


ROWS = (
    Row(
        token="aws:cloudwatch/metricAlarm:MetricAlarm",
        service="cloudwatch",
        create=Call(
            "put_metric_alarm",
            {
                "AlarmName": "name",
                "EvaluateLowSampleCountPercentile": "evaluateLowSampleCountPercentiles",
                "Metrics": _queries,
            },
            uses=("metricQueries",),
        ),
        upsert=True,
        id="inputs.name",
        read=by("describe_alarms", {"AlarmNames": ["id"]}),
        at="MetricAlarms[0]",
        delete=by("delete_alarms", {"AlarmNames": ["id"]}),
        names={
            "name": "AlarmName",
            "arn": "AlarmArn",
        },
        outputs={"metricQueries": lambda s, _: None, "dimensions": lambda s, _: None},
        replaces=("name",),
        checks=(_metric_name,),
        defaults={"actionsEnabled": True, "treatMissingData": "missing"},
    ),
    Row(
        token="aws:cloudwatch/compositeAlarm:CompositeAlarm",
        service="cloudwatch",
        create=Call("put_composite_alarm"),
        upsert=True,
        id="inputs.alarmName",
        read=by("describe_alarms", {"AlarmNames": ["id"], "AlarmTypes": Literal(["CompositeAlarm"])}),
        at="CompositeAlarms[0]",
        delete=by("delete_alarms", {"AlarmNames": ["id"]}),
        names={"arn": "AlarmArn"},
        outputs={"arn": lambda s, a: a.get("AlarmArn") or s.arn("cloudwatch", f"alarm:{s.id}")},
        replaces=("alarmName",),
        name="alarmName",
    ),
    Row(
        token="aws:cloudwatch/dashboard:Dashboard",
        service="cloudwatch",
        create=Call("put_dashboard"),
        upsert=True,
        id="inputs.dashboardName",
        read=by("get_dashboard", {"DashboardName": "id"}),
        delete=by("delete_dashboards", {"DashboardNames": ["id"]}),
        names={"dashboardArn": "DashboardArn"},
        replaces=("dashboardName",),
        mutable=("dashboardBody",),
        name="dashboardName",
    ),
    Row(
        token="aws:cloudwatch/metricStream:MetricStream",
        service="cloudwatch",
        create=Call("put_metric_stream"),
        upsert=True,
        id="inputs.name",
        outputs={"arn": lambda s, _: s.arn("cloudwatch", f"metric-stream/{s.id}")},
        replaces=("name",),
    ),
    Row(
        token="aws:cloudwatch/logGroup:LogGroup",
        service="logs",
        create=Call("create_log_group"),
        id="inputs.name",
        read=by("describe_log_groups", {"logGroupNamePrefix": "id"}),
        at="logGroups[?logGroupName=='{id}'] | [0]",
        delete=by("delete_log_group", {"logGroupName": "id"}),
        names={"name": "logGroupName"},
        outputs={"arn": lambda s, _: s.arn("logs", f"log-group:{s.id}")},
        mutable=("retentionInDays", "kmsKeyId", "skipDestroy", "deletionProtectionEnabled"),
        defaults={"retentionInDays": 0, "skipDestroy": False},
        longest=512,
        checks=(_allowed_retention,),
        made=_ever,
    ),
    Row(
        token="aws:cloudwatch/logStream:LogStream",
        service="logs",
        create=Call("create_log_stream"),
        id="inputs.name",
        read=by("describe_log_streams", {"logGroupName": "logGroupName", "logStreamNamePrefix": "id"}),
        at="logStreams[0]",
        delete=by("delete_log_stream", {"logGroupName": "logGroupName", "logStreamName": "id"}),
        names={"name": "logStreamName"},
    ),
    Row(
        token="aws:cloudwatch/logMetricFilter:LogMetricFilter",
        service="logs",
        create=Call(
            "put_metric_filter",
            {
                "filterPattern": "pattern",
                "metricTransformations": lambda s: [
                    {
                        (
                            "metricName"
                            if key == "name"
                            else f"metric{key.capitalize()}"
                            if key in ("namespace", "value")
                            else key
                        ): value
                        for key, value in (s["metricTransformation"] or {}).items()
                    }
                ],
            },
            uses=("metricTransformation",),
        ),
        upsert=True,
        id="inputs.name",
        read=by("describe_metric_filters", {"logGroupName": "logGroupName", "filterNamePrefix": "id"}),
        at="metricFilters[0]",
        delete=by("delete_metric_filter", {"logGroupName": "logGroupName", "filterName": "id"}),
        names={"name": "filterName"},
        outputs={"metricTransformation": lambda s, _: None},
        replaces=("name", "logGroupName"),
        mutable=("pattern", "metricTransformation"),
    ),
    Row(
        token="aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter",
        service="logs",
        create=Call("put_subscription_filter"),
        upsert=True,
        id=lambda s, _: f"{s['logGroup']}|{s['name']}",
        read=by("describe_subscription_filters", {"logGroupName": "logGroup", "filterNamePrefix": "name"}),
        at="subscriptionFilters[0]",
        delete=by("delete_subscription_filter", {"logGroupName": "logGroup", "filterName": "name"}),
        names={"name": "filterName", "logGroup": "logGroupName"},
        replaces=("name", "logGroup"),
    ),
    Row(
        token="aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
        service="logs",
        create=Call("put_resource_policy"),
        upsert=True,
        id=lambda s, _: str(s["policyName"] or s["resourceArn"]),
        read=by("describe_resource_policies"),
        at="resourcePolicies[?policyName=='{id}'] | [0]",
        delete=by("delete_resource_policy", {"policyName": "id"}),
        replaces=("policyName",),
        mutable=("policyDocument",),
        name=None,
    ),
    *(
        Row(
            token=f"aws:cloudwatch/logDelivery{kind}:LogDelivery{kind}",
            service="logs",
            create=Call(f"put_delivery_{kind.lower()}"),
            upsert=True,
            id="inputs.name",
            read=by(f"get_delivery_{kind.lower()}", {"name": "id"}),
            at=f"delivery{kind}",
            delete=by(f"delete_delivery_{kind.lower()}", {"name": "id"}),
            replaces=("name",),
        )
        for kind in ("Source", "Destination")
    ),
    Row(
        token="aws:cloudwatch/logDelivery:LogDelivery",
        service="logs",
        create=Call("create_delivery"),
        id="delivery.id",
        read=by("get_delivery", {"id": "id"}),
        at="delivery",
        delete=by("delete_delivery", {"id": "id"}),
        names={"s3DeliveryConfigurations": "s3DeliveryConfiguration"},
        name=None,
    ),
    Row(
        token="aws:xray/group:Group",
        service="xray",
        create=Call("create_group"),
        id="inputs.groupName",
        outputs={"arn": lambda s, _: s.arn("xray", f"group/{s.id}/{s.session.fresh()}")},
        mutable=("filterExpression", "insightsConfiguration"),
        name=None,
    ),
    Row(
        token="aws:xray/samplingRule:SamplingRule",
        service="xray",
        create=Call("create_sampling_rule", {"SamplingRule": _sampling_rule}, uses=tuple(_SAMPLING)),
        id=lambda s, _: str(s["ruleName"]),
        outputs={"arn": lambda s, _: s.arn("xray", f"sampling-rule/{s.id}")},
        name="ruleName",
    ),
    Row(
        token="aws:xray/encryptionConfig:EncryptionConfig",
        service="xray",
        create=Call("put_encryption_config"),
        upsert=True,
        id=lambda s, _: s.region,
        mutable=("type", "keyId"),
        name=None,
    ),
)
