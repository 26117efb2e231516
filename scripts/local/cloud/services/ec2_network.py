"""EC2: VPCs, subnets, gateways, route tables."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from scripts.local.cloud.services.ec2_rules import (
    one_target,
    routes,
)
from scripts.local.cloud.services.ec2_shared import arn
from scripts.local.cloud.services.guards import filtered
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
            "arn": arn("vpc"),
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
        outputs={"arn": arn("internet-gateway"), "vpcId": "Attachments[0].VpcId"},
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
        outputs={"arn": arn("elastic-ip"), "allocationId": "AllocationId"},
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
        outputs={"arn": arn("route-table"), "routes": lambda scope, _: None},
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
        outputs={"arn": arn("route-table"), "routes": lambda scope, _: None},
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
)
