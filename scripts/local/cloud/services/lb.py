"""Load balancers (ELBv2); every type also under its ``alb`` alias."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scripts.local.cloud import shapes
from scripts.local.cloud.backend import UNKNOWN, Refused
from scripts.local.cloud.invokes import LOAD_BALANCER_ZONES
from scripts.local.cloud.table import Call, Row, Scope, by

_BALANCER = {
    "idleTimeout": "idle_timeout.timeout_seconds",
    "enableDeletionProtection": "deletion_protection.enabled",
    "enableHttp2": "routing.http2.enabled",
    "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
    "desyncMitigationMode": "routing.http.desync_mitigation_mode",
    "preserveHostHeader": "routing.http.preserve_host_header.enabled",
    "xffHeaderProcessingMode": "routing.http.xff_header_processing.mode",
    "enableCrossZoneLoadBalancing": "load_balancing.cross_zone.enabled",
    "enableWafFailOpen": "waf.fail_open.enabled",
}
_TARGETS = {
    "deregistrationDelay": "deregistration_delay.timeout_seconds",
    "slowStart": "slow_start.duration_seconds",
    "loadBalancingAlgorithmType": "load_balancing.algorithm.type",
}


def _attributes(names: dict[str, str]) -> Any:
    def build(scope: Scope) -> Any:
        found = []
        for name, key in names.items():
            value = scope.inputs.get(name)
            if value is not None and value is not UNKNOWN:
                found.append({"Key": key, "Value": str(value).lower() if isinstance(value, bool) else str(value)})
        logs = scope.inputs.get("accessLogs")
        if isinstance(logs, dict) and logs.get("bucket") is not UNKNOWN:
            found.append({"Key": "access_logs.s3.enabled", "Value": str(bool(logs.get("enabled"))).lower()})
            found.append({"Key": "access_logs.s3.bucket", "Value": str(logs["bucket"])})
        return found

    return build


def _actions(scope: Scope, name: str, method: str, parameter: str) -> Any:
    """Actions of a listener or rule: blocks with other names than ELBv2's."""
    names = {
        "forward": "ForwardConfig",
        "redirect": "RedirectConfig",
        "fixedResponse": "FixedResponseConfig",
        "authenticateOidc": "AuthenticateOidcConfig",
        "authenticateCognito": "AuthenticateCognitoConfig",
        "forward.targetGroups": "TargetGroups",
        "forward.targetGroups.arn": "TargetGroupArn",
        "forward.stickiness": "TargetGroupStickinessConfig",
        "forward.stickiness.duration": "DurationSeconds",
    }
    shape = shapes.nested("elbv2", method, parameter)
    given = scope[name]
    return given if given is UNKNOWN or given is None else shapes.parameter(shape, given, names)


def _conditions(scope: Scope) -> Any:
    found = []
    for condition in scope["conditions"] or []:
        for name, field in (
            ("pathPattern", "path-pattern"),
            ("hostHeader", "host-header"),
            ("httpRequestMethod", "http-request-method"),
            ("sourceIp", "source-ip"),
        ):
            if condition.get(name):
                config = name[0].upper() + name[1:] + "Config"
                found.append({"Field": field, config: {"Values": condition[name]["values"]}})
        if header := condition.get("httpHeader"):
            found.append(
                {
                    "Field": "http-header",
                    "HttpHeaderConfig": {"HttpHeaderName": header["httpHeaderName"], "Values": header["values"]},
                }
            )
        for query in condition.get("queryStrings") or []:
            found.append(
                {
                    "Field": "query-string",
                    "QueryStringConfig": {
                        "Values": [
                            {
                                key: value
                                for key, value in (("Key", query.get("key")), ("Value", query["value"]))
                                if value
                            }
                        ]
                    },
                }
            )
    return found


def _transforms(scope: Scope) -> Any:
    """Blocks of the provider's, with the list that ELBv2 has in each."""
    names = {"url-rewrite": "urlRewriteConfig", "host-header-rewrite": "hostHeaderRewriteConfig"}
    found = []
    for each in scope["transforms"] or []:
        name = names[each["type"]]
        rewrite = each[name]["rewrite"]
        config = {"Rewrites": [{"Regex": rewrite["regex"], "Replace": rewrite["replace"]}]}
        found.append({"Type": each["type"], name[0].upper() + name[1:]: config})
    return found or None


def _protected(scope: Scope) -> None:
    if scope.get("enableDeletionProtection"):
        raise Refused(
            "", f"OperationNotPermitted: load balancer {scope.id} has deletion protection; switch it off first"
        )


def _health(key: str) -> Any:
    return lambda scope: (scope["healthCheck"] or {}).get(key)


def _two_zones(scope: Scope) -> None:
    subnets = scope.inputs.get("subnets")
    if scope.get("loadBalancerType", "application") == "application" and isinstance(subnets, list) and len(subnets) < 2:
        raise Refused("subnets", f"has {len(subnets)} subnet, but an application load balancer needs two zones")


def _certificate_for_https(scope: Scope) -> None:
    if scope.get("protocol") == "HTTPS" and scope["certificateArn"] is None:
        raise Refused("certificateArn", "is required for an HTTPS listener")


def _weights(scope: Scope) -> None:
    """What TargetGroupTuple and the quotas of a rule allow; moto takes any."""
    for action in scope["actions"] if isinstance(scope["actions"], list) else []:
        groups = (action.get("forward") or {}).get("targetGroups") if isinstance(action, dict) else None
        weights = [each.get("weight", 1) for each in groups or [] if isinstance(each, dict)]
        if wrong := [weight for weight in weights if isinstance(weight, int) and not 0 <= weight <= 999]:
            raise Refused("actions", f"have weights {wrong}; a target group has 0 to 999")
        if len(weights) > 5:
            raise Refused("actions", f"forward to {len(weights)} target groups; a rule has 5 at most")
    priority = scope.inputs.get("priority")
    if isinstance(priority, int) and not 1 <= priority <= 50_000:
        raise Refused("priority", f"is {priority}; it is 1 to 50000")


def _zone(scope: Scope, answer: dict[str, Any]) -> Any:
    """All of moto's balancers have the zone of an example."""
    zones = LOAD_BALANCER_ZONES.get(scope.get("loadBalancerType", "application"), {})
    return zones.get(scope.region) or answer["CanonicalHostedZoneId"]


def _suffix(scope: Scope, _: dict[str, Any]) -> str:
    return scope.id.split(":loadbalancer/")[-1] if ":loadbalancer/" in scope.id else scope.id.split(":")[-1]


def _rows(package: str) -> Iterator[Row]:
    yield Row(
        token=f"aws:{package}/loadBalancer:LoadBalancer",
        service="elbv2",
        create=Call(
            "create_load_balancer",
            {
                "Name": "name",
                "Type": "loadBalancerType",
                "Scheme": lambda s: "internal" if s["internal"] is True else "internet-facing",
            },
            uses=("internal",),
        ),
        id="LoadBalancers[0].LoadBalancerArn",
        read=by("describe_load_balancers", {"LoadBalancerArns": ["id"]}),
        at="LoadBalancers[0]",
        after=(
            Call(
                "modify_load_balancer_attributes",
                {"LoadBalancerArn": "id", "Attributes": _attributes(_BALANCER)},
                when=(*_BALANCER, "accessLogs"),
                auto=False,
            ),
        ),
        update=(
            Call(
                "set_security_groups",
                {"LoadBalancerArn": "id", "SecurityGroups": "securityGroups"},
                when=("securityGroups",),
                auto=False,
            ),
            Call("set_subnets", {"LoadBalancerArn": "id", "Subnets": "subnets"}, when=("subnets",), auto=False),
        ),
        delete=by("delete_load_balancer", {"LoadBalancerArn": "id"}),
        names={"arn": "LoadBalancerArn", "name": "LoadBalancerName", "dnsName": "DNSName", "loadBalancerType": "Type"},
        outputs={
            "arnSuffix": _suffix,
            "zoneId": _zone,
            "subnets": "AvailabilityZones[].SubnetId",
            "internal": lambda _, a: a.get("Scheme") == "internal",
        },
        longest=32,
        checks=(_two_zones,),
        guards=(_protected,),
    )
    yield Row(
        token=f"aws:{package}/targetGroup:TargetGroup",
        service="elbv2",
        create=Call(
            "create_target_group",
            {"Name": "name"}
            | {
                f"HealthCheck{parameter}": _health(key)
                for key, parameter in (
                    ("path", "Path"),
                    ("protocol", "Protocol"),
                    ("port", "Port"),
                    ("interval", "IntervalSeconds"),
                    ("timeout", "TimeoutSeconds"),
                )
            }
            | {
                "HealthyThresholdCount": lambda s: (s["healthCheck"] or {}).get("healthyThreshold"),
                "UnhealthyThresholdCount": lambda s: (s["healthCheck"] or {}).get("unhealthyThreshold"),
                "Matcher": lambda s: (
                    {"HttpCode": s["healthCheck"]["matcher"]} if (s["healthCheck"] or {}).get("matcher") else None
                ),
            },
        ),
        id="TargetGroups[0].TargetGroupArn",
        read=by("describe_target_groups", {"TargetGroupArns": ["id"]}),
        at="TargetGroups[0]",
        after=(
            Call(
                "modify_target_group_attributes",
                {"TargetGroupArn": "id", "Attributes": _attributes(_TARGETS)},
                when=tuple(_TARGETS),
                auto=False,
            ),
        ),
        update=(
            Call(
                "modify_target_group",
                {"TargetGroupArn": "id", "HealthCheckPath": lambda s: (s["healthCheck"] or {}).get("path")},
                when=("healthCheck",),
                auto=False,
            ),
        ),
        delete=by("delete_target_group", {"TargetGroupArn": "id"}),
        names={"arn": "TargetGroupArn", "name": "TargetGroupName"},
        outputs={"arnSuffix": lambda s, _: s.id.split(":")[-1], "healthCheck": lambda s, _: None},
        replaces=("port", "protocol", "vpcId", "targetType", "protocolVersion", "ipAddressType"),
        longest=32,
    )
    yield Row(
        token=f"aws:{package}/listener:Listener",
        service="elbv2",
        create=Call(
            "create_listener",
            {
                "DefaultActions": lambda s: _actions(s, "defaultActions", "create_listener", "DefaultActions"),
                "Certificates": lambda s: [{"CertificateArn": s["certificateArn"]}] if s["certificateArn"] else None,
            },
            uses=("defaultActions", "certificateArn"),
        ),
        id="Listeners[0].ListenerArn",
        read=by("describe_listeners", {"ListenerArns": ["id"]}),
        at="Listeners[0]",
        update=(
            Call(
                "modify_listener",
                {
                    "ListenerArn": "id",
                    "DefaultActions": lambda s: _actions(s, "defaultActions", "modify_listener", "DefaultActions"),
                    "Certificates": lambda s: (
                        [{"CertificateArn": s["certificateArn"]}] if s["certificateArn"] else None
                    ),
                },
                uses=("defaultActions", "certificateArn"),
            ),
        ),
        delete=by("delete_listener", {"ListenerArn": "id"}),
        names={"arn": "ListenerArn"},
        outputs={"defaultActions": lambda s, _: None},
        replaces=("loadBalancerArn",),
        checks=(_certificate_for_https,),
        name=None,
    )
    yield Row(
        token=f"aws:{package}/listenerRule:ListenerRule",
        service="elbv2",
        create=Call(
            "create_rule",
            {
                "Actions": lambda s: _actions(s, "actions", "create_rule", "Actions"),
                "Conditions": _conditions,
                "Transforms": _transforms,
            },
            uses=("actions", "conditions", "transforms"),
        ),
        id="Rules[0].RuleArn",
        read=by("describe_rules", {"RuleArns": ["id"]}),
        at="Rules[0]",
        update=(
            Call(
                "modify_rule",
                {
                    "RuleArn": "id",
                    "Actions": lambda s: _actions(s, "actions", "modify_rule", "Actions"),
                    "Conditions": _conditions,
                    "Transforms": _transforms,
                },
                when=("actions", "conditions", "transforms"),
                auto=False,
            ),
            Call(
                "set_rule_priorities",
                {"RulePriorities": lambda s: [{"RuleArn": s.id, "Priority": s["priority"]}]},
                when=("priority",),
                auto=False,
            ),
        ),
        delete=by("delete_rule", {"RuleArn": "id"}),
        names={"arn": "RuleArn"},
        outputs={name: lambda s, _: None for name in ("actions", "conditions", "transforms")},
        replaces=("listenerArn",),
        checks=(_weights,),
        name=None,
    )
    yield Row(
        token=f"aws:{package}/listenerCertificate:ListenerCertificate",
        service="elbv2",
        create=Call(
            "add_listener_certificates",
            {"ListenerArn": "listenerArn", "Certificates": lambda s: [{"CertificateArn": s["certificateArn"]}]},
            uses=("certificateArn",),
        ),
        id=lambda s, _: f"{s['listenerArn']}_{s['certificateArn']}",
        store=True,
        why="moto has no AddListenerCertificates that can be read back",
        name=None,
    )
    yield Row(
        token=f"aws:{package}/targetGroupAttachment:TargetGroupAttachment",
        service="elbv2",
        create=Call(
            "register_targets",
            {
                "TargetGroupArn": "targetGroupArn",
                "Targets": lambda s: [
                    {key: value for key, value in (("Id", s["targetId"]), ("Port", s["port"])) if value is not None}
                ],
            },
            uses=("targetId", "port"),
            auto=False,
        ),
        id=lambda s, _: f"{s['targetGroupArn']}-{s['targetId']}",
        delete=by(
            "deregister_targets", {"TargetGroupArn": "targetGroupArn", "Targets": lambda s: [{"Id": s["targetId"]}]}
        ),
        name=None,
    )


ROWS = (*_rows("lb"), *_rows("alb"))
