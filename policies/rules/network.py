"""Rules for networks: closed by default, logged, reached where meant."""

from __future__ import annotations

from pulumi_policy import PolicyResource

from policies.checks import (
    ABSENT,
    Check,
    Judged,
    count,
    matching,
    never,
    none_of,
    not_false,
    not_matching,
    not_true,
    one_of,
)
from policies.kit import Rule, rule, stack_rule
from policies.ports import closed, leaves_narrowly, only
from policies.stacks import Companion, Exists, Resources, fulfils, known, linked, of

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
TABLE = "aws:ec2/routeTable:RouteTable"
TABLE_OF = "aws:ec2/routeTableAssociation:RouteTableAssociation"
_ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
_DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
_FLOW_LOG = "aws:ec2/flowLog:FlowLog"
_ACL = "aws:ec2/networkAcl:NetworkAcl"
_ACL_OF = "aws:ec2/networkAclAssociation:NetworkAclAssociation"
# Ports of administration, databases and consoles; the platform's broker and caches with them.
_RISKY = (
    *(20, 21, 22, 23, 25, 110, 135, 143, 445, 1433, 1434, 3000, 3306, 3389, 4333, 5000, 5432, 5500, 5601),
    *(8080, 8088, 8888, 9200, 9300, 5671, 6379, 15671),
)
_CLOSED = "Name the networks or groups that need it"


def endpoint(name: str, control: str, service: str) -> Rule:
    """A rule that a network reaches an AWS API without leaving."""
    check = Exists(
        beside=(VPC,),
        of=(_ENDPOINT,),
        checks=(_ends_in(service),),
        says=f"no interface endpoint's serviceName ends in .{service}, one must",
    )
    return stack_rule(
        name, control, check, types=check.types, remedy=f"Add a VpcEndpoint for {service}", resilience=True
    )


def _ends_in(service: str) -> Check:
    ending = rf"\.{service.replace('.', '[.]')}$"
    return matching("serviceName", ending, f"com.amazonaws.x.{service}", "x", wanted=service)


def only_public_subnets_route_out(resources: Resources) -> dict[str, str]:
    """A route to an internet gateway belongs to subnets whose Tier is public."""
    wrong = {}
    for one in of(resources, TABLE_OF):
        subnets, tables = linked(one, "subnetId"), linked(one, "routeTableId")
        open_ = any(_to_internet(table) for table in tables if table.resource_type == TABLE)
        for subnet in subnets:
            tier = known(subnet, "tags.Tier", "public") if subnet.resource_type == SUBNET else "public"
            if open_ and tier != "public":
                wrong[subnet.urn] = f"{subnet.name}: its Tier is {tier!r} and it routes to the internet, it must not"
    return wrong


def _to_internet(table: PolicyResource) -> bool:
    return not fulfils(table, (not_matching("routes[].gatewayId", "^igw-", "igw-1", wanted="no internet gateway"),))


RULES = [
    rule("no-default-network", "CKV CKV_AWS_148", never("a network that nobody designed")),
    stack_rule(
        "default-security-group-closed",
        "FSBP EC2.2",
        Companion(
            of=(VPC,),
            by=(_DEFAULT_GROUP,),
            link="vpcId",
            checks=(count("ingress", 0, 0, absent_is_fine=True), count("egress", 0, 0, absent_is_fine=True)),
            says="its default security group is not emptied by a DefaultSecurityGroup resource",
        ),
        types=(VPC, _DEFAULT_GROUP),
        remedy="Adopt it: a DefaultSecurityGroup for this VPC with empty ingress and egress",
    ),
    stack_rule(
        "network-flows-logged",
        "FSBP EC2.6",
        Companion(
            of=(VPC,),
            by=(_FLOW_LOG,),
            link="vpcId",
            checks=(one_of("trafficType", "ALL", "REJECT"),),
            says="no flow log covers it, one must with trafficType ALL or REJECT",
        ),
        types=(VPC, _FLOW_LOG),
        remedy="Declare a FlowLog for it",
    ),
    endpoint("endpoint-ecr-api", "FSBP EC2.55", "ecr.api"),
    endpoint("endpoint-ecr-images", "FSBP EC2.56", "ecr.dkr"),
    rule("subnet-assigns-no-public-ip", "FSBP EC2.15", not_true("mapPublicIpOnLaunch"), mends=True),
    stack_rule(
        "network-acl-used",
        "FSBP EC2.16",
        Companion(
            of=(_ACL,),
            by=(_ACL_OF,),
            link="networkAclId",
            says="no subnet uses it, one must",
            spare=lambda one: known(one, "subnetIds", (1,)) not in (ABSENT, None, ()),
        ),
        types=(_ACL, _ACL_OF),
        remedy="Associate it with subnets, or remove it",
    ),
    rule("ingress-on-web-ports-only", "FSBP EC2.18", only((80, 443), remedy=_CLOSED)),
    rule("ingress-not-to-risky-ports", ("FSBP EC2.19", "CIS 6.3/6.4", "CIS 6.1.2"), closed(_RISKY, remedy=_CLOSED)),
    rule("network-acl-closed-to-administration", "FSBP EC2.21", closed((22, 3389), remedy="Deny ports 22 and 3389")),
    rule("transit-asks-first", "FSBP EC2.23", none_of("autoAcceptSharedAttachments", "enable")),
    rule(
        "network-closed-to-internet",
        "FSBP EC2.172",
        one_of("internetGatewayBlockMode", "block-bidirectional", "block-ingress"),
    ),
    rule("interface-checks-source", "FSBP EC2.180", not_false("sourceDestCheck"), mends=True),
    rule(
        "security-group-described", "CKV CKV_AWS_23", none_of("description", "Managed by Pulumi", absent_is_fine=False)
    ),
    rule(
        "egress-narrow",
        "CKV CKV_AWS_382",
        Judged(
            path="egress",
            judge=leaves_narrowly,
            remedy="Name the ports and networks that are needed",
            good={"egress": [{"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["0.0.0.0/0"]}]},
            bad=({"egress": [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}]},),
        ),
        types=(
            "aws:ec2/securityGroup:SecurityGroup",
            "aws:ec2/securityGroupRule:SecurityGroupRule",
            "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        ),
    ),
    stack_rule(
        "private-subnets-stay-inside",
        ("CKV CKV2_AWS_35", "FSBP RDS.46"),
        only_public_subnets_route_out,
        types=(SUBNET, TABLE, TABLE_OF),
        remedy="Route it through a NAT gateway, or not at all",
    ),
]
