"""EC2: security groups and their rules."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud.backend import Refused
from scripts.local.cloud.services.ec2_rules import permission, security_group
from scripts.local.cloud.services.guards import filtered, unless_used
from scripts.local.cloud.table import Call, Row, Scope, by

_GROUPS = by("describe_security_groups", {"GroupIds": ["id"]})


def _inline(permissions: str) -> Any:
    """Inline rules as EC2 reports them, one per permission, for drift and import."""

    def convert(_: Scope, found: dict[str, Any]) -> list[dict[str, Any]]:
        listed = []
        for item in found.get(permissions) or []:
            rule = {
                "protocol": item["IpProtocol"],
                "fromPort": item.get("FromPort", 0),
                "toPort": item.get("ToPort", 0),
                "cidrBlocks": [each["CidrIp"] for each in item.get("IpRanges", [])],
                "ipv6CidrBlocks": [each["CidrIpv6"] for each in item.get("Ipv6Ranges", [])],
                "prefixListIds": [each["PrefixListId"] for each in item.get("PrefixListIds", [])],
                "securityGroups": [each["GroupId"] for each in item.get("UserIdGroupPairs", [])],
            }
            listed.append({key: value for key, value in rule.items() if value != []})
        return listed

    return convert


def _ports(scope: Scope) -> None:
    """From and to go together and in order; -1 (all protocols) takes none, as AuthorizeSecurityGroupIngress says."""
    for kind in ("ingress", "egress"):
        for i, rule in enumerate(scope.inputs.get(kind) or []):
            low, high = (rule.get("fromPort"), rule.get("toPort")) if isinstance(rule, dict) else (None, None)
            if isinstance(low, int) and isinstance(high, int) and low > high:
                raise Refused(f"{kind}[{i}].fromPort", f"is {low}, but must not be above toPort {high}")


_SG_OUTPUTS = {
    "arn": lambda s, _: s.arn("ec2", f"security-group/{s.id}"),
    "ingress": _inline("IpPermissions"),
    "egress": _inline("IpPermissionsEgress"),
}


def _rule(token: str, kind: str) -> Row:
    return Row(
        token=token,
        service="ec2",
        create=Call(
            f"authorize_security_group_{kind}",
            {"GroupId": "securityGroupId", "IpPermissions": lambda s: [permission(s.inputs, "")]},
            uses=(
                "cidrIpv4",
                "cidrIpv6",
                "fromPort",
                "toPort",
                "ipProtocol",
                "prefixListId",
                "referencedSecurityGroupId",
                "description",
            ),
            auto=False,
        ),
        id="SecurityGroupRules[0].SecurityGroupRuleId",
        read=by("describe_security_group_rules", {"SecurityGroupRuleIds": ["id"]}),
        at="SecurityGroupRules[0]",
        delete=by(f"revoke_security_group_{kind}", {"GroupId": "securityGroupId", "SecurityGroupRuleIds": ["id"]}),
        outputs={
            "securityGroupRuleId": lambda s, _: s.id,
            "arn": lambda s, _: s.arn("ec2", f"security-group-rule/{s.id}"),
            "referencedSecurityGroupId": "ReferencedGroupInfo.GroupId",
        },
        names={"securityGroupId": "GroupId"},
        tag_type="security-group-rule",
        tag_key="id",
        name=None,
    )


def _old_rule(scope: Scope) -> dict[str, Any]:
    return permission({**scope.state, **scope.inputs}, str(scope["securityGroupId"]))


def _old_rule_id(scope: Scope, _: dict[str, Any]) -> str:
    return f"sgrule-{abs(hash(str(sorted(scope.inputs.items(), key=str)))) % 10**10}"


def _direction(method: str) -> Any:
    def made(scope: Scope) -> None:
        if not scope.old:
            scope.call(
                "ec2",
                f"{method}_security_group_{scope['type']}",
                GroupId=scope["securityGroupId"],
                IpPermissions=[_old_rule(scope)],
            )

    return made


ROWS = (
    Row(
        token="aws:ec2/securityGroup:SecurityGroup",
        service="ec2",
        create=Call(
            "create_security_group",
            {"GroupName": "name", "Description": lambda s: s.get("description", "Managed by Pulumi")},
            uses=("description",),
        ),
        id="GroupId",
        read=_GROUPS,
        at="SecurityGroups[0]",
        delete=by("delete_security_group", {"GroupId": "id"}),
        names={"name": "GroupName"},
        outputs=_SG_OUTPUTS,
        defaults={"description": "Managed by Pulumi", "revokeRulesOnDelete": False},
        tag_type="security-group",
        tag_key="id",
        checks=(_ports,),
        guards=(
            filtered(
                "a network interface",
                "describe_network_interfaces",
                "group-id",
                "NetworkInterfaces[].NetworkInterfaceId",
            ),
            filtered(
                "another group's rule",
                "describe_security_groups",
                "ip-permission.group-id",
                "SecurityGroups[?GroupId!='{id}'].GroupId",
            ),
            unless_used(
                "a database",
                "rds",
                "describe_db_instances",
                "DBInstances[?VpcSecurityGroups[?VpcSecurityGroupId=='{id}']].DBInstanceIdentifier",
            ),
            unless_used(
                "an endpoint",
                "ec2",
                "describe_vpc_endpoints",
                "VpcEndpoints[?Groups[?GroupId=='{id}'] && State!='deleted'].VpcEndpointId",
            ),
            unless_used(
                "a load balancer",
                "elbv2",
                "describe_load_balancers",
                "LoadBalancers[?contains(SecurityGroups || `[]`, '{id}')].LoadBalancerName",
            ),
        ),
        made=security_group,
    ),
    Row(
        token="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        service="ec2",
        create=Call(
            "describe_security_groups",
            {
                "Filters": lambda s: [
                    {"Name": "vpc-id", "Values": [s["vpcId"]]},
                    {"Name": "group-name", "Values": ["default"]},
                ]
            },
            uses=("vpcId",),
            auto=False,
        ),
        id="SecurityGroups[0].GroupId",
        read=_GROUPS,
        at="SecurityGroups[0]",
        names={"name": "GroupName"},
        outputs=_SG_OUTPUTS,
        tag_key="id",
        name=None,
        made=security_group,
    ),
    _rule("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "ingress"),
    _rule("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "egress"),
    Row(
        token="aws:ec2/securityGroupRule:SecurityGroupRule",
        service="ec2",
        create=Call("describe_security_groups", {"GroupIds": ["securityGroupId"]}, auto=False),
        id=_old_rule_id,
        read=by("describe_security_groups", {"GroupIds": ["securityGroupId"]}),
        at="SecurityGroups[0].{GroupId: GroupId}",
        gone=lambda s: _direction("revoke")(s),
        replaces=(
            "type",
            "protocol",
            "fromPort",
            "toPort",
            "cidrBlocks",
            "ipv6CidrBlocks",
            "prefixListIds",
            "securityGroupId",
            "self",
            "sourceSecurityGroupId",
        ),
        mutable=("description",),
        name=None,
        made=_direction("authorize"),
    ),
)
