"""WAF, certificates and DNS."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud import shapes
from scripts.local.cloud.backend import Refused
from scripts.local.cloud.table import Call, Row, Scope, by


def _scope_region(scope: Scope) -> None:
    """Web ACLs for CloudFront live in us-east-1 (CreateWebACL)."""
    if scope.get("scope") == "CLOUDFRONT" and scope.region != "us-east-1":
        raise Refused("scope", f"CLOUDFRONT needs region us-east-1, but is in {scope.region}; set region='us-east-1'")


def _waf(kind: str, noun: str, key: str, update: bool = True, **more: Any) -> Row:
    who: dict[str, Any] = {"Name": "name", "Scope": "scope", "Id": "id"}
    lock: dict[str, Any] = {
        **who,
        "LockToken": lambda s: s.call("wafv2", f"get_{noun}", Name=s["name"], Scope=s["scope"], Id=s.id)["LockToken"],
    }
    return Row(
        token=f"aws:wafv2/{kind[0].lower()}{kind[1:]}:{kind}",
        service="wafv2",
        create=Call(f"create_{noun}", more.pop("params", {})),
        id="Summary.Id",
        read=by(f"get_{noun}", who),
        at=key,
        update=(Call(f"update_{noun}", {**lock, **more.pop("update_params", {})}),) if update else (),
        delete=by(f"delete_{noun}", lock),
        names={"arn": "ARN", "ipAddressVersion": "IPAddressVersion", **more.pop("names", {})},
        outputs={"rules": lambda s, _: None, "lockToken": lambda s, _: None} if kind in ("WebAcl", "RuleGroup") else {},
        replaces=("name", "scope"),
        checks=(_scope_region, _rates) if kind in ("WebAcl", "RuleGroup") else (_scope_region,),
        longest=128,
        **more,
    )


def _waf_log_name(scope: Scope) -> None:
    """Names of destinations start alike, or WAF refuses them (PutLoggingConfiguration)."""
    for arn in scope["logDestinationConfigs"] or []:
        if isinstance(arn, str) and not arn.removesuffix(":*").rsplit(":", 1)[-1].split("/")[-1].startswith(_LOG_NAME):
            raise Refused("logDestinationConfigs", f"has {arn}; the name of a destination starts with {_LOG_NAME}")


def _rates(scope: Scope) -> None:
    """What RateBasedStatement allows and botocore's model does not say."""
    for rule in scope["rules"] if isinstance(scope["rules"], list) else []:
        rate = (rule.get("statement") or {}).get("rateBasedStatement") if isinstance(rule, dict) else None
        if not isinstance(rate, dict):
            continue
        if isinstance(limit := rate.get("limit"), int) and limit < 10:
            raise Refused("rules", f"{rule.get('name')} has limit {limit}, it must be 10 or more")
        if (window := rate.get("evaluationWindowSec", 300)) not in (60, 120, 300, 600):
            raise Refused("rules", f"{rule.get('name')} counts over {window} s; choose 60, 120, 300 or 600")


_LOG_NAME = "aws-waf-logs-"
_LOGGING = ("resourceArn", "logDestinationConfigs", "redactedFields", "loggingFilter")
_RULE_RENAMES = {"arn": "ARN"}


def _rules(method: str) -> Any:
    """Rules: statements nest, and their members match by name but for a few."""

    def build(scope: Scope) -> Any:
        given = scope["rules"]
        if not isinstance(given, list):
            return given
        shape = shapes.nested("wafv2", method, "Rules")
        return shapes.parameter(shape, given, _RULE_RENAMES)

    return build


def _bodies(scope: Scope) -> Any:
    """A list of blocks with a key each, where WAF has a map."""
    given = scope["customResponseBodies"]
    if not isinstance(given, list):
        return given
    return {
        each["key"]: {"Content": each.get("content"), "ContentType": each.get("contentType")}
        for each in given
        if isinstance(each, dict)
    }


def _zone_id(scope: Scope, answer: dict[str, Any]) -> str:
    return str(answer["HostedZone"]["Id"]).rsplit("/", 1)[-1]


def _record_set(scope: Scope) -> dict[str, Any]:
    record: dict[str, Any] = {"Name": scope["name"], "Type": scope["type"]}
    for name, key in (("ttl", "TTL"), ("setIdentifier", "SetIdentifier"), ("healthCheckId", "HealthCheckId")):
        if scope[name] is not None:
            record[key] = scope[name]
    if scope["records"]:
        record["ResourceRecords"] = [{"Value": value} for value in scope["records"]]
    if scope["aliases"]:
        alias = scope["aliases"][0]
        record["AliasTarget"] = {
            "HostedZoneId": alias["zoneId"],
            "DNSName": alias["name"],
            "EvaluateTargetHealth": alias["evaluateTargetHealth"],
        }
    for policy in scope["weightedRoutingPolicies"] or []:
        record["Weight"] = policy["weight"]
    return record


def _change(action: str) -> Any:
    return lambda scope: {"Changes": [{"Action": action, "ResourceRecordSet": _record_set(scope)}]}


_RECORD = ("name", "type", "ttl", "records", "aliases", "setIdentifier", "healthCheckId", "weightedRoutingPolicies")


def _find_record(scope: Scope, answer: dict[str, Any]) -> Any:
    name = str(scope["name"]).rstrip(".") + "."
    match = [r for r in answer["ResourceRecordSets"] if r["Name"] == name and r["Type"] == scope["type"]]
    return match[0] if match else None


def _validation_options(_: Scope, found: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "domainName": option["DomainName"],
            "resourceRecordName": option.get("ResourceRecord", {}).get("Name", f"_validate.{option['DomainName']}."),
            "resourceRecordType": option.get("ResourceRecord", {}).get("Type", "CNAME"),
            "resourceRecordValue": option.get("ResourceRecord", {}).get("Value", "_validate.acm-validations.aws."),
        }
        for option in found.get("DomainValidationOptions", [])
    ]


ROWS = (
    _waf(
        "WebAcl",
        "web_acl",
        "WebACL",
        params={"Rules": _rules("create_web_acl"), "CustomResponseBodies": _bodies},
        update_params={"Rules": _rules("update_web_acl"), "CustomResponseBodies": _bodies},
    ),
    _waf("IpSet", "ip_set", "IPSet"),
    _waf(
        "RegexPatternSet",
        "regex_pattern_set",
        "RegexPatternSet",
        params={"RegularExpressionList": lambda s: _regexes(s)},
        update_params={"RegularExpressionList": lambda s: _regexes(s)},
    ),
    _waf(
        "RuleGroup",
        "rule_group",
        "RuleGroup",
        params={"Rules": _rules("create_rule_group"), "CustomResponseBodies": _bodies},
        update_params={"Rules": _rules("update_rule_group"), "CustomResponseBodies": _bodies},
    ),
    Row(
        token="aws:wafv2/webAclAssociation:WebAclAssociation",
        service="wafv2",
        create=Call("associate_web_acl", {"WebACLArn": "webAclArn"}),
        id=lambda s, _: f"{s['webAclArn']},{s['resourceArn']}",
        read=by("get_web_acl_for_resource", {"ResourceArn": "resourceArn"}),
        at="WebACL",
        delete=by("disassociate_web_acl", {"ResourceArn": "resourceArn"}),
        name=None,
    ),
    Row(
        token="aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
        service="wafv2",
        create=Call(
            "put_logging_configuration",
            {
                "LoggingConfiguration": lambda s: shapes.parameter(
                    shapes.nested("wafv2", "put_logging_configuration", "LoggingConfiguration"),
                    {name: s[name] for name in _LOGGING if s[name] is not None},
                )
            },
            uses=_LOGGING,
        ),
        upsert=True,
        id="inputs.resourceArn",
        read=by("get_logging_configuration", {"ResourceArn": "id"}),
        at="LoggingConfiguration",
        delete=by("delete_logging_configuration", {"ResourceArn": "id"}),
        outputs={"redactedFields": lambda s, _: None, "loggingFilter": lambda s, _: None},
        replaces=("resourceArn",),
        checks=(_waf_log_name,),
        name=None,
    ),
    Row(
        token="aws:acm/certificate:Certificate",
        service="acm",
        create=Call("request_certificate"),
        id="CertificateArn",
        read=by("describe_certificate", {"CertificateArn": "id"}),
        at="Certificate",
        delete=by("delete_certificate", {"CertificateArn": "id"}),
        names={"arn": "CertificateArn"},
        outputs={
            "domainValidationOptions": _validation_options,
            "status": "Status",
            "validationEmails": lambda s, _: [],
        },
        mutable=("options",),
        name=None,
    ),
    Row(
        token="aws:acm/certificateValidation:CertificateValidation",
        service="acm",
        create=Call("describe_certificate", auto=True),
        id=lambda s, _: s["certificateArn"],
        read=by("describe_certificate", {"CertificateArn": "certificateArn"}),
        at="Certificate",
        replaces=("certificateArn", "validationRecordFqdns"),
        name=None,
    ),
    Row(
        token="aws:route53/zone:Zone",
        service="route53",
        create=Call(
            "create_hosted_zone",
            {
                "CallerReference": lambda s: s.session.fresh(),
                "HostedZoneConfig": lambda s: {
                    "Comment": s.get("comment", "Managed by Pulumi"),
                    "PrivateZone": bool(s["vpcs"]),
                },
                "VPC": lambda s: (
                    {"VPCId": s["vpcs"][0]["vpcId"], "VPCRegion": s["vpcs"][0].get("vpcRegion") or s.region}
                    if s["vpcs"]
                    else None
                ),
            },
            uses=("name",),
        ),
        id=_zone_id,
        read=by("get_hosted_zone", {"Id": "id"}),
        delete=by("delete_hosted_zone", {"Id": "id"}),
        outputs={
            "zoneId": lambda s, _: s.id,
            "arn": lambda s, _: s.arn("route53", f"hostedzone/{s.id}", region="", account=""),
            "nameServers": "DelegationSet.NameServers",
            "primaryNameServer": "DelegationSet.NameServers[0]",
        },
        mutable=("comment", "forceDestroy"),
        defaults={"comment": "Managed by Pulumi", "forceDestroy": False},
    ),
    Row(
        token="aws:route53/record:Record",
        service="route53",
        create=Call(
            "change_resource_record_sets", {"HostedZoneId": "zoneId", "ChangeBatch": _change("UPSERT")}, uses=_RECORD
        ),
        upsert=True,
        id=lambda s, _: "_".join(str(part) for part in (s["zoneId"], s["name"], s["type"], s["setIdentifier"]) if part),
        read=by("list_resource_record_sets", {"HostedZoneId": "zoneId"}),
        at=_find_record,
        delete=by("change_resource_record_sets", {"HostedZoneId": "zoneId", "ChangeBatch": _change("DELETE")}),
        outputs={
            "fqdn": lambda s, _: s["name"],
            "name": lambda s, _: s["name"],
            "records": lambda s, _: None,
            "aliases": lambda s, _: None,
        },
        replaces=("zoneId", "name", "type", "setIdentifier"),
        name=None,
    ),
    Row(
        token="aws:route53/healthCheck:HealthCheck",
        service="route53",
        create=Call(
            "create_health_check",
            {
                "CallerReference": lambda s: s.session.fresh(),
                "HealthCheckConfig": lambda s: shapes.parameters(
                    shapes.nested("route53", "create_health_check", "HealthCheckConfig"),
                    {k: v for k, v in s.inputs.items() if k != "tags"},
                    {
                        "ipAddress": "IPAddress",
                        "fqdn": "FullyQualifiedDomainName",
                        "childHealthchecks": "ChildHealthChecks",
                    },
                ),
            },
            uses=("type",),
        ),
        id="HealthCheck.Id",
        read=by("get_health_check", {"HealthCheckId": "id"}),
        at="HealthCheck",
        delete=by("delete_health_check", {"HealthCheckId": "id"}),
        outputs={"arn": lambda s, _: s.arn("route53", f"healthcheck/{s.id}", region="", account="")},
        name=None,
    ),
    Row(
        token="aws:route53/queryLog:QueryLog",
        service="route53",
        create=Call("create_query_logging_config", {"HostedZoneId": "zoneId"}),
        id="QueryLoggingConfig.Id",
        read=by("get_query_logging_config", {"Id": "id"}),
        at="QueryLoggingConfig",
        delete=by("delete_query_logging_config", {"Id": "id"}),
        names={"cloudwatchLogGroupArn": "CloudWatchLogsLogGroupArn"},
        name=None,
    ),
)


def _regexes(scope: Scope) -> list[dict[str, str]]:
    return [{"RegexString": each["regexString"]} for each in scope["regularExpressions"] or []]
