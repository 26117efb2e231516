"""EC2: VPCs, subnets, gateways, route tables, network ACLs, endpoints."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from scripts.local.cloud.backend import UNKNOWN
from scripts.local.cloud.services.ec2_rules import (
    acl_association,
    acl_entry,
    network_acl,
    one_target,
    routes,
)
from scripts.local.cloud.services.guards import filtered, unless_used
from scripts.local.cloud.session import CloudError
from scripts.local.cloud.table import Call, Literal, Row, Scope, by


def _first(method: str, path: str, field: str, **more: str) -> Any:
    """An output that another describe call tells: the default security group of a VPC, …"""

    def look(scope: Scope, _: dict[str, Any]) -> Any:
        filters = [{"Name": "vpc-id", "Values": [scope.id]}]
        filters += [
            {"Name": name.replace("__", ".").replace("_", "-"), "Values": [value]} for name, value in more.items()
        ]
        found = scope.call("ec2", method, Filters=filters)[path]
        return found[0][field] if found else None

    return look


def _arn(kind: str) -> Any:
    return lambda scope, _: scope.arn("ec2", f"{kind}/{scope.id}")


def _flag(parameter: str, name: str) -> Any:
    return {parameter: lambda scope: {"Value": scope[name]}}


def _association(scope: Scope, answer: dict[str, Any]) -> Any:
    for table in answer["RouteTables"]:
        for each in table["Associations"]:
            if each.get("RouteTableAssociationId") == scope.id:
                return each
    return None


def _route(scope: Scope, answer: dict[str, Any]) -> Any:
    wanted = scope["destinationCidrBlock"] or scope["destinationIpv6CidrBlock"] or scope["destinationPrefixListId"]
    keys = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
    listed = answer["RouteTables"][0]["Routes"] if answer["RouteTables"] else []
    return next((route for route in listed if wanted in [route.get(key) for key in keys]), None)


def _attribute(method: str, key: str, id_parameter: str, attribute: str) -> Any:
    return lambda scope, _: scope.call("ec2", method, **{id_parameter: scope.id, "Attribute": attribute})[key]["Value"]


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


def _default_acl_id(scope: Scope, _: dict[str, Any]) -> Any:
    return scope.inputs["defaultNetworkAclId"]


def _current_association(scope: Scope) -> Any:
    return UNKNOWN if scope.preview else acl_association(scope, scope["subnetId"])["NetworkAclAssociationId"]


def _main_acl(scope: Scope) -> None:
    """A subnet whose ACL goes returns to the VPC's default one."""
    [subnet] = scope.call("ec2", "describe_subnets", SubnetIds=[scope["subnetId"]])["Subnets"]
    filters = [{"Name": "vpc-id", "Values": [subnet["VpcId"]]}, {"Name": "default", "Values": ["true"]}]
    default = scope.call("ec2", "describe_network_acls", Filters=filters)["NetworkAcls"][0]["NetworkAclId"]
    current = acl_association(scope, scope["subnetId"])["NetworkAclAssociationId"]
    scope.call("ec2", "replace_network_acl_association", AssociationId=current, NetworkAclId=default)


def _release_interface(scope: Scope) -> None:
    """EC2 takes a NAT gateway's network interface away with it; moto leaves it behind."""
    if scope.state.get("networkInterfaceId"):
        with suppress(CloudError):
            scope.call("ec2", "delete_network_interface", NetworkInterfaceId=scope.state["networkInterfaceId"])


_VPC_GUARDS = (
    filtered("a subnet", "describe_subnets", "vpc-id", "Subnets[].SubnetId"),
    filtered(
        "an internet gateway", "describe_internet_gateways", "attachment.vpc-id", "InternetGateways[].InternetGatewayId"
    ),
    filtered("a NAT gateway", "describe_nat_gateways", "vpc-id", "NatGateways[?State!='deleted'].NatGatewayId"),
    filtered("a security group", "describe_security_groups", "vpc-id", "SecurityGroups[?GroupName!='default'].GroupId"),
    filtered("a VPC endpoint", "describe_vpc_endpoints", "vpc-id", "VpcEndpoints[?State!='deleted'].VpcEndpointId"),
    filtered("a network interface", "describe_network_interfaces", "vpc-id", "NetworkInterfaces[].NetworkInterfaceId"),
)
_SUBNET_GUARDS = (
    filtered("a NAT gateway", "describe_nat_gateways", "subnet-id", "NatGateways[?State!='deleted'].NatGatewayId"),
    filtered(
        "a network interface", "describe_network_interfaces", "subnet-id", "NetworkInterfaces[].NetworkInterfaceId"
    ),
)

ROWS = (
    Row(
        token="aws:ec2/vpc:Vpc",
        service="ec2",
        create=Call("create_vpc"),
        id="Vpc.VpcId",
        read=by("describe_vpcs", {"VpcIds": ["id"]}),
        at="Vpcs[0]",
        after=(
            Call(
                "modify_vpc_attribute",
                {"VpcId": "id", **_flag("EnableDnsSupport", "enableDnsSupport")},
                when=("enableDnsSupport",),
                auto=False,
            ),
            Call(
                "modify_vpc_attribute",
                {"VpcId": "id", **_flag("EnableDnsHostnames", "enableDnsHostnames")},
                when=("enableDnsHostnames",),
                auto=False,
            ),
        ),
        delete=by("delete_vpc", {"VpcId": "id"}),
        outputs={
            "arn": _arn("vpc"),
            "defaultSecurityGroupId": _first(
                "describe_security_groups", "SecurityGroups", "GroupId", group_name="default"
            ),
            "defaultRouteTableId": _first(
                "describe_route_tables", "RouteTables", "RouteTableId", association__main="true"
            ),
            "mainRouteTableId": _first(
                "describe_route_tables", "RouteTables", "RouteTableId", association__main="true"
            ),
            "defaultNetworkAclId": _first("describe_network_acls", "NetworkAcls", "NetworkAclId", default="true"),
            "enableDnsSupport": _attribute("describe_vpc_attribute", "EnableDnsSupport", "VpcId", "enableDnsSupport"),
            "enableDnsHostnames": _attribute(
                "describe_vpc_attribute", "EnableDnsHostnames", "VpcId", "enableDnsHostnames"
            ),
        },
        tag_type="vpc",
        tag_key="id",
        guards=_VPC_GUARDS,
    ),
    Row(
        token="aws:ec2/subnet:Subnet",
        service="ec2",
        create=Call("create_subnet"),
        id="Subnet.SubnetId",
        read=by("describe_subnets", {"SubnetIds": ["id"]}),
        at="Subnets[0]",
        after=(
            Call(
                "modify_subnet_attribute",
                {"SubnetId": "id", **_flag("MapPublicIpOnLaunch", "mapPublicIpOnLaunch")},
                when=("mapPublicIpOnLaunch",),
                auto=False,
            ),
        ),
        delete=by("delete_subnet", {"SubnetId": "id"}),
        names={"arn": "SubnetArn"},
        tag_type="subnet",
        tag_key="id",
        guards=_SUBNET_GUARDS,
        defaults={"mapPublicIpOnLaunch": False, "assignIpv6AddressOnCreation": False},
    ),
    Row(
        token="aws:ec2/internetGateway:InternetGateway",
        service="ec2",
        create=Call("create_internet_gateway"),
        id="InternetGateway.InternetGatewayId",
        read=by("describe_internet_gateways", {"InternetGatewayIds": ["id"]}),
        at="InternetGateways[0]",
        after=(
            Call("attach_internet_gateway", {"InternetGatewayId": "id", "VpcId": "vpcId"}, when=("vpcId",), auto=False),
        ),
        before_delete=(by("detach_internet_gateway", {"InternetGatewayId": "id", "VpcId": "vpcId"}),),
        delete=by("delete_internet_gateway", {"InternetGatewayId": "id"}),
        outputs={"arn": _arn("internet-gateway"), "vpcId": "Attachments[0].VpcId"},
        replaces=("vpcId",),
        tag_type="internet-gateway",
        tag_key="id",
    ),
    Row(
        token="aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway",
        service="ec2",
        create=Call("create_egress_only_internet_gateway"),
        id="EgressOnlyInternetGateway.EgressOnlyInternetGatewayId",
        read=by("describe_egress_only_internet_gateways", {"EgressOnlyInternetGatewayIds": ["id"]}),
        at="EgressOnlyInternetGateways[0]",
        outputs={"vpcId": "Attachments[0].VpcId"},
        delete=by("delete_egress_only_internet_gateway", {"EgressOnlyInternetGatewayId": "id"}),
        tag_type="egress-only-internet-gateway",
        tag_key="id",
    ),
    Row(
        token="aws:ec2/eip:Eip",
        service="ec2",
        create=Call("allocate_address", {"Domain": Literal("vpc")}),
        id="AllocationId",
        read=by("describe_addresses", {"AllocationIds": ["id"]}),
        at="Addresses[0]",
        delete=by("release_address", {"AllocationId": "id"}),
        outputs={"arn": _arn("elastic-ip"), "allocationId": "AllocationId"},
        tag_type="elastic-ip",
        tag_key="id",
    ),
    Row(
        token="aws:ec2/natGateway:NatGateway",
        service="ec2",
        create=Call("create_nat_gateway"),
        id="NatGateway.NatGatewayId",
        read=by("describe_nat_gateways", {"NatGatewayIds": ["id"]}),
        at="NatGateways[?State!='deleted'] | [0]",
        delete=by("delete_nat_gateway", {"NatGatewayId": "id"}),
        gone=_release_interface,
        outputs={
            "publicIp": "NatGatewayAddresses[0].PublicIp",
            "privateIp": "NatGatewayAddresses[0].PrivateIp",
            "networkInterfaceId": "NatGatewayAddresses[0].NetworkInterfaceId",
            "allocationId": "NatGatewayAddresses[0].AllocationId",
        },
        tag_type="natgateway",
        tag_key="id",
    ),
    Row(
        token="aws:ec2/routeTable:RouteTable",
        service="ec2",
        create=Call("create_route_table"),
        id="RouteTable.RouteTableId",
        read=by("describe_route_tables", {"RouteTableIds": ["id"]}),
        at="RouteTables[0]",
        delete=by("delete_route_table", {"RouteTableId": "id"}),
        outputs={"arn": _arn("route-table"), "routes": lambda scope, _: None},
        tag_type="route-table",
        tag_key="id",
        checks=(one_target,),
        made=routes,
    ),
    Row(
        token="aws:ec2/defaultRouteTable:DefaultRouteTable",
        service="ec2",
        create=Call("describe_route_tables", {"RouteTableIds": ["defaultRouteTableId"]}, auto=False),
        id="RouteTables[0].RouteTableId",
        read=by("describe_route_tables", {"RouteTableIds": ["id"]}),
        at="RouteTables[0]",
        outputs={"arn": _arn("route-table"), "routes": lambda scope, _: None},
        tag_key="id",
        name=None,
        checks=(one_target,),
        made=routes,
    ),
    Row(
        token="aws:ec2/route:Route",
        service="ec2",
        create=Call("create_route", {"RouteTableId": "routeTableId"}),
        id=lambda scope, _: (
            f"{scope['routeTableId']}_"
            + str(
                scope["destinationCidrBlock"] or scope["destinationIpv6CidrBlock"] or scope["destinationPrefixListId"]
            )
        ),
        read=by("describe_route_tables", {"RouteTableIds": ["routeTableId"]}),
        at=_route,
        update=(
            Call(
                "replace_route",
                {
                    "RouteTableId": "routeTableId",
                    "DestinationCidrBlock": "destinationCidrBlock",
                    "DestinationIpv6CidrBlock": "destinationIpv6CidrBlock",
                },
            ),
        ),
        delete=by(
            "delete_route",
            {
                "RouteTableId": "routeTableId",
                "DestinationCidrBlock": "destinationCidrBlock",
                "DestinationIpv6CidrBlock": "destinationIpv6CidrBlock",
            },
        ),
        replaces=("routeTableId", "destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId"),
        name=None,
        ignore_missing=("InvalidRoute.NotFound",),
    ),
    Row(
        token="aws:ec2/routeTableAssociation:RouteTableAssociation",
        service="ec2",
        create=Call("associate_route_table"),
        id="AssociationId",
        read=by("describe_route_tables", {"RouteTableIds": ["routeTableId"]}),
        at=_association,
        delete=by("disassociate_route_table", {"AssociationId": "id"}),
        name=None,
    ),
    Row(
        token="aws:ec2/networkAcl:NetworkAcl",
        service="ec2",
        create=Call("create_network_acl"),
        id="NetworkAcl.NetworkAclId",
        read=by("describe_network_acls", {"NetworkAclIds": ["id"]}),
        at="NetworkAcls[0]",
        delete=by("delete_network_acl", {"NetworkAclId": "id"}),
        outputs={
            "arn": _arn("network-acl"),
            "ingress": lambda s, _: None,
            "egress": lambda s, _: None,
            "subnetIds": "Associations[].SubnetId",
        },
        guards=(
            unless_used(
                "a subnet",
                "ec2",
                "describe_network_acls",
                "NetworkAcls[].Associations[].SubnetId",
                NetworkAclIds=["{id}"],
            ),
        ),
        tag_type="network-acl",
        tag_key="id",
        made=network_acl,
    ),
    Row(
        token="aws:ec2/defaultNetworkAcl:DefaultNetworkAcl",
        service="ec2",
        create=Call("describe_network_acls", {"NetworkAclIds": ["defaultNetworkAclId"]}, auto=False),
        id=_default_acl_id,
        read=by("describe_network_acls", {"NetworkAclIds": ["id"]}),
        at="NetworkAcls[0]",
        outputs={"arn": _arn("network-acl"), "ingress": lambda s, _: None, "egress": lambda s, _: None},
        tag_key="id",
        name=None,
        made=network_acl,
    ),
    Row(
        token="aws:ec2/networkAclRule:NetworkAclRule",
        service="ec2",
        create=Call(
            "create_network_acl_entry",
            {
                "NetworkAclId": "networkAclId",
                "RuleNumber": "ruleNumber",
                "Protocol": lambda s: acl_entry(s.inputs, egress=False)["Protocol"],
                "PortRange": lambda s: acl_entry(s.inputs, egress=False).get("PortRange"),
                "Egress": lambda s: bool(s.get("egress")),
            },
            uses=("protocol", "fromPort", "toPort", "egress"),
        ),
        id=lambda scope, _: f"nacl-{scope['networkAclId']}-{scope['ruleNumber']}-{bool(scope.get('egress'))}",
        read=by("describe_network_acls", {"NetworkAclIds": ["networkAclId"]}),
        at=lambda s, a: next(
            (
                e
                for e in a["NetworkAcls"][0]["Entries"]
                if e["RuleNumber"] == s["ruleNumber"] and e["Egress"] == bool(s.get("egress"))
            ),
            None,
        ),
        delete=by(
            "delete_network_acl_entry",
            {"NetworkAclId": "networkAclId", "RuleNumber": "ruleNumber", "Egress": lambda s: bool(s.get("egress"))},
        ),
        name=None,
    ),
    Row(
        token="aws:ec2/networkAclAssociation:NetworkAclAssociation",
        service="ec2",
        create=Call(
            "replace_network_acl_association",
            {"NetworkAclId": "networkAclId", "AssociationId": _current_association},
            uses=("subnetId",),
            auto=False,
        ),
        id="NewAssociationId",
        read=by("describe_network_acls", {"NetworkAclIds": ["networkAclId"]}),
        at=lambda s, a: next((e for e in a["NetworkAcls"][0]["Associations"] if e["SubnetId"] == s["subnetId"]), None),
        gone=_main_acl,
        name=None,
    ),
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
            "arn": _arn("vpc-endpoint"),
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
        outputs={"arn": _arn("vpc-flow-log")},
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
        outputs={"arn": _arn("dhcp-options")},
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
