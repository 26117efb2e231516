"""EC2: launch templates, instances, volumes, account settings."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud import shapes
from scripts.local.cloud.table import Call, Literal, Row, Scope, by


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
