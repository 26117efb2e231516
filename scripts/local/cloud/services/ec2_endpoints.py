"""EC2: VPC endpoints, flow logs, DHCP options, block of public access."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud.services.ec2_shared import arn
from scripts.local.cloud.table import Call, Literal, Row, Scope, by


def _list_change(name: str, *, added: bool) -> Any:
    def change(scope: Scope) -> list[str] | None:
        old, new = set(scope.old.get(name) or []), set(scope.inputs.get(name) or [])
        return sorted(new - old if added else old - new) or None

    return change


def _resource_ids(scope: Scope) -> list[Any]:
    names = ("vpcId", "subnetId", "eniId", "transitGatewayId")
    return [scope[name] for name in names if scope[name] is not None]


def _resource_kind(scope: Scope) -> str:
    kinds = {"vpcId": "VPC", "subnetId": "Subnet", "eniId": "NetworkInterface", "transitGatewayId": "TransitGateway"}
    return next((kind for name, kind in kinds.items() if scope[name] is not None), "VPC")


ROWS = (
    Row(
        token="aws:ec2/vpcEndpoint:VpcEndpoint",
        service="ec2",
        create=Call(
            "create_vpc_endpoint",
            {"VpcEndpointType": lambda s: s.get("vpcEndpointType", "Gateway")},
            uses=("vpcEndpointType",),
        ),
        id="VpcEndpoint.VpcEndpointId",
        read=by("describe_vpc_endpoints", {"VpcEndpointIds": ["id"]}),
        at="VpcEndpoints[0]",
        update=(
            Call(
                "modify_vpc_endpoint",
                {
                    "VpcEndpointId": "id",
                    **{
                        f"{verb}{parameter}": _list_change(name, added=verb == "Add")
                        for name, parameter in (
                            ("subnetIds", "SubnetIds"),
                            ("routeTableIds", "RouteTableIds"),
                            ("securityGroupIds", "SecurityGroupIds"),
                        )
                        for verb in ("Add", "Remove")
                    },
                },
                uses=("subnetIds", "routeTableIds", "securityGroupIds"),
            ),
        ),
        delete=by("delete_vpc_endpoints", {"VpcEndpointIds": ["id"]}),
        names={"policy": "PolicyDocument"},
        outputs={
            "arn": arn("vpc-endpoint"),
            "securityGroupIds": "Groups[].GroupId",
            "prefixListId": lambda s, a: f"pl-{s.id[-8:]}" if a.get("VpcEndpointType") == "Gateway" else None,
            "cidrBlocks": lambda s, a: [],
        },
        tag_type="vpc-endpoint",
        tag_key="id",
        defaults={"vpcEndpointType": "Gateway"},
    ),
    Row(
        token="aws:ec2/flowLog:FlowLog",
        service="ec2",
        create=Call(
            "create_flow_logs",
            {"ResourceIds": _resource_ids, "ResourceType": _resource_kind, "TrafficType": "trafficType"},
            uses=("vpcId", "subnetId", "eniId", "transitGatewayId"),
        ),
        id="FlowLogIds[0]",
        read=by("describe_flow_logs", {"FlowLogIds": ["id"]}),
        at="FlowLogs[0]",
        delete=by("delete_flow_logs", {"FlowLogIds": ["id"]}),
        names={"iamRoleArn": "DeliverLogsPermissionArn"},
        outputs={"arn": arn("vpc-flow-log")},
        tag_type="vpc-flow-log",
        tag_key="id",
    ),
    Row(
        token="aws:ec2/vpcDhcpOptions:VpcDhcpOptions",
        service="ec2",
        create=Call(
            "create_dhcp_options",
            {
                "DhcpConfigurations": lambda s: [
                    {"Key": key, "Values": value if isinstance(value, list) else [str(value)]}
                    for key, value in (
                        ("domain-name", s["domainName"]),
                        ("domain-name-servers", s["domainNameServers"]),
                        ("ntp-servers", s["ntpServers"]),
                        ("netbios-name-servers", s["netbiosNameServers"]),
                        ("netbios-node-type", s["netbiosNodeType"]),
                    )
                    if value
                ]
            },
            uses=("domainName", "domainNameServers", "ntpServers", "netbiosNameServers", "netbiosNodeType"),
        ),
        id="DhcpOptions.DhcpOptionsId",
        read=by("describe_dhcp_options", {"DhcpOptionsIds": ["id"]}),
        at="DhcpOptions[0]",
        delete=by("delete_dhcp_options", {"DhcpOptionsId": "id"}),
        outputs={"arn": arn("dhcp-options")},
        tag_type="dhcp-options",
        tag_key="id",
    ),
    Row(
        token="aws:ec2/vpcDhcpOptionsAssociation:VpcDhcpOptionsAssociation",
        service="ec2",
        create=Call("associate_dhcp_options"),
        upsert=True,
        id=lambda scope, _: f"{scope['dhcpOptionsId']}-{scope['vpcId']}",
        read=by("describe_vpcs", {"VpcIds": ["vpcId"]}),
        at="Vpcs[0]",
        delete=by("associate_dhcp_options", {"VpcId": "vpcId", "DhcpOptionsId": Literal("default")}),
        name=None,
    ),
    Row(
        token="aws:ec2/vpcBlockPublicAccessOptions:VpcBlockPublicAccessOptions",
        service="ec2",
        create=Call("modify_vpc_block_public_access_options"),
        upsert=True,
        mutable=("internetGatewayBlockMode",),
        id=lambda scope, _: scope.region,
        outputs={"awsRegion": lambda s, _: s.region, "awsAccountId": lambda s, _: s.session.account},
        name=None,
    ),
    Row(
        token="aws:ec2/vpcBlockPublicAccessExclusion:VpcBlockPublicAccessExclusion",
        service="ec2",
        create=Call("create_vpc_block_public_access_exclusion"),
        mutable=("internetGatewayExclusionMode",),
        id=lambda scope, _: f"vpcbpa-exclude-{scope.session.fresh()}",
        name=None,
    ),
)
