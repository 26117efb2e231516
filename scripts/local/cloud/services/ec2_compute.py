"""EC2: security groups and their rules, launch templates, volumes, account settings."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud import shapes
from scripts.local.cloud.backend import Refused
from scripts.local.cloud.services.ec2_rules import permission, security_group
from scripts.local.cloud.services.guards import filtered, unless_used
from scripts.local.cloud.table import Call, Literal, Row, Scope, by

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


def _template(scope: Scope) -> dict[str, Any]:
    shape = shapes.nested("ec2", "create_launch_template", "LaunchTemplateData")
    names = {"vpcSecurityGroupIds": "SecurityGroupIds", "tagSpecifications": "TagSpecifications"}
    left_out = ("name", "namePrefix", "description", "tags", "updateDefaultVersion", "defaultVersion", "region")
    wanted = {key: value for key, value in scope.inputs.items() if key not in left_out and not key.startswith("__")}
    return shapes.parameters(shape, wanted, names)


_TEMPLATE_INPUTS = (
    "imageId",
    "instanceType",
    "keyName",
    "userData",
    "vpcSecurityGroupIds",
    "securityGroupNames",
    "blockDeviceMappings",
    "iamInstanceProfile",
    "metadataOptions",
    "monitoring",
    "networkInterfaces",
    "placement",
    "tagSpecifications",
    "ebsOptimized",
    "cpuOptions",
    "creditSpecification",
    "instanceMarketOptions",
    "instanceRequirements",
    "enclaveOptions",
    "disableApiTermination",
    "disableApiStop",
    "maintenanceOptions",
    "privateDnsNameOptions",
)


def _default_version(scope: Scope) -> None:
    if scope.old:
        scope.call("ec2", "modify_launch_template", LaunchTemplateId=scope.id, DefaultVersion=str(_latest(scope, {})))


def _latest(scope: Scope, _: dict[str, Any]) -> int:
    answer = scope.call("ec2", "describe_launch_template_versions", LaunchTemplateId=scope.id)
    return max(int(each["VersionNumber"]) for each in answer["LaunchTemplateVersions"])


def _setting(token: str, create: Call, id: str, **more: Any) -> Row:
    """A setting of the account in one region: there is one, and deleting it only forgets it."""
    return Row(
        token=token, service="ec2", create=create, id=lambda s, _: id or s.region, upsert=True, name=None, **more
    )


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
                "a broker",
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
    Row(
        token="aws:ec2/launchTemplate:LaunchTemplate",
        service="ec2",
        create=Call(
            "create_launch_template",
            {"LaunchTemplateName": "name", "LaunchTemplateData": _template},
            uses=_TEMPLATE_INPUTS,
            auto=False,
        ),
        id="LaunchTemplate.LaunchTemplateId",
        read=by("describe_launch_templates", {"LaunchTemplateIds": ["id"]}),
        at="LaunchTemplates[0]",
        update=(
            Call(
                "create_launch_template_version",
                {"LaunchTemplateId": "id", "LaunchTemplateData": _template},
                uses=_TEMPLATE_INPUTS,
                auto=False,
            ),
        ),
        delete=by("delete_launch_template", {"LaunchTemplateId": "id"}),
        names={"name": "LaunchTemplateName"},
        outputs={
            "arn": lambda s, _: s.arn("ec2", f"launch-template/{s.id}"),
            "latestVersion": _latest,
            "defaultVersion": "DefaultVersionNumber",
        },
        tag_type="launch-template",
        tag_key="id",
        made=_default_version,
    ),
    Row(
        token="aws:ebs/volume:Volume",
        service="ec2",
        create=Call("create_volume", {"VolumeType": "type"}),
        id="VolumeId",
        read=by("describe_volumes", {"VolumeIds": ["id"]}),
        at="Volumes[0]",
        update=(Call("modify_volume", {"VolumeId": "id", "VolumeType": "type"}),),
        delete=by("delete_volume", {"VolumeId": "id"}),
        outputs={"arn": lambda s, _: s.arn("ec2", f"volume/{s.id}")},
        tag_type="volume",
        tag_key="id",
        name=None,
    ),
    Row(
        token="aws:ec2/networkInterface:NetworkInterface",
        service="ec2",
        create=Call("create_network_interface", {"Groups": "securityGroups"}),
        id="NetworkInterface.NetworkInterfaceId",
        read=by("describe_network_interfaces", {"NetworkInterfaceIds": ["id"]}),
        at="NetworkInterfaces[0]",
        update=(
            Call(
                "modify_network_interface_attribute",
                {"NetworkInterfaceId": "id", "Groups": "securityGroups"},
                when=("securityGroups",),
                auto=False,
            ),
        ),
        delete=by("delete_network_interface", {"NetworkInterfaceId": "id"}),
        outputs={"securityGroups": "Groups[].GroupId", "arn": lambda s, _: s.arn("ec2", f"network-interface/{s.id}")},
        tag_type="network-interface",
        tag_key="id",
        name=None,
    ),
    Row(
        token="aws:ec2/instance:Instance",
        service="ec2",
        create=Call(
            "run_instances",
            {
                "MinCount": Literal(1),
                "MaxCount": Literal(1),
                "ImageId": "ami",
                "SecurityGroupIds": "vpcSecurityGroupIds",
            },
        ),
        id="Instances[0].InstanceId",
        read=by("describe_instances", {"InstanceIds": ["id"]}),
        at="Reservations[].Instances[?State.Name!='terminated'][] | [0]",
        delete=by("terminate_instances", {"InstanceIds": ["id"]}),
        outputs={
            "arn": lambda s, _: s.arn("ec2", f"instance/{s.id}"),
            "instanceState": "State.Name",
            "vpcSecurityGroupIds": "SecurityGroups[].GroupId",
            "ami": "ImageId",
        },
        tag_type="instance",
        tag_key="id",
        name=None,
    ),
    _setting(
        "aws:ebs/encryptionByDefault:EncryptionByDefault",
        Call("enable_ebs_encryption_by_default"),
        "",
        read=by("get_ebs_encryption_by_default"),
        delete=by("disable_ebs_encryption_by_default"),
        outputs={"enabled": "EbsEncryptionByDefault"},
    ),
    _setting(
        "aws:ebs/snapshotBlockPublicAccess:SnapshotBlockPublicAccess", Call("enable_snapshot_block_public_access"), ""
    ),
    _setting(
        "aws:ec2/imageBlockPublicAccess:ImageBlockPublicAccess",
        Call("enable_image_block_public_access", {"ImageBlockPublicAccessState": "state"}),
        "",
        mutable=("state",),
    ),
    _setting(
        "aws:ec2/instanceMetadataDefaults:InstanceMetadataDefaults", Call("modify_instance_metadata_defaults"), ""
    ),
    Row(
        token="aws:ec2/managedPrefixList:ManagedPrefixList",
        service="ec2",
        create=Call("create_managed_prefix_list", {"PrefixListName": "name"}),
        id="PrefixList.PrefixListId",
        read=by("describe_managed_prefix_lists", {"PrefixListIds": ["id"]}),
        at="PrefixLists[0]",
        delete=by("delete_managed_prefix_list", {"PrefixListId": "id"}),
        names={"arn": "PrefixListArn"},
        outputs={"entries": lambda s, _: None},
        tag_type="prefix-list",
        tag_key="id",
    ),
    Row(
        token="aws:ec2transitgateway/transitGateway:TransitGateway",
        service="ec2",
        create=Call(
            "create_transit_gateway",
            {
                "Options": lambda s: {
                    parameter: s[name]
                    for name, parameter in (
                        ("amazonSideAsn", "AmazonSideAsn"),
                        ("autoAcceptSharedAttachments", "AutoAcceptSharedAttachments"),
                        ("dnsSupport", "DnsSupport"),
                    )
                    if s[name] is not None
                }
            },
            uses=("amazonSideAsn", "autoAcceptSharedAttachments", "dnsSupport"),
        ),
        id="TransitGateway.TransitGatewayId",
        read=by("describe_transit_gateways", {"TransitGatewayIds": ["id"]}),
        at="TransitGateways[?State!='deleted'] | [0]",
        delete=by("delete_transit_gateway", {"TransitGatewayId": "id"}),
        names={"arn": "TransitGatewayArn"},
        tag_type="transit-gateway",
        tag_key="id",
        name=None,
    ),
)
