"""The network of an environment: four tiers of subnets over several zones, closed unless opened.

It owns the VPC, its subnets and routes, the ways out (internet gateway, NAT), the private ways to AWS (endpoints) and
the flow logs. The default security group, network ACL and route table are emptied: what forgets to choose gets
nothing. Only the public tier may talk to the internet through its gateway: VPC Block Public Access refuses it to all
others, whatever a route table says.

| tier | holds | way out |
| --- | --- | --- |
| public | load balancers, NAT | the internet gateway |
| private | nodes and pods | NAT |
| intra | the cluster's control plane, functions, endpoints | AWS's own services alone |
| data | databases, broker, caches | none |

Money (AWS price list, eu-west-3, 2026-11): a NAT gateway costs about 35 USD a month for each zone that it serves, one
per zone or one regional, plus traffic; an interface endpoint about 8 USD a month and zone: endpoints pay for
themselves when much traffic would otherwise cross a NAT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pulumi
from pulumi_aws import ec2

from components import addresses, aws_facts
from components.acl import acl_rules
from components.context import Context
from components.endpoints import Endpoints, EndpointsArgs
from components.flow_logs import FlowLogs

# Two zones are the least that survives the loss of one; the subnet plan has room for four.
_ZONES = range(2, addresses.ZONES + 1)
_ANYWHERE = "0.0.0.0/0"


class Nat(StrEnum):
    """How private subnets reach the internet.

    Not at all; through one gateway, whose zone they then depend on; through one in each zone; or through a regional
    gateway, which AWS itself extends to the zones that are used.
    """

    NONE = "none"
    SINGLE = "single"
    PER_ZONE = "per-zone"
    REGIONAL = "regional"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkArgs:
    """``zones`` are availability zone names of ``region``."""

    cidr: str
    region: str
    zones: Sequence[str]
    nat: Nat

    def __post_init__(self) -> None:
        if len(self.zones) not in _ZONES or len(set(self.zones)) != len(self.zones):
            raise ValueError(
                f"zones are {list(self.zones)}; the network needs {_ZONES.start} to {_ZONES.stop - 1} different ones, "
                "so that it survives the loss of one: set network.zones"
            )
        aws_facts.check_region("aws:region", self.region, zones=self.zones)
        addresses.plan(self.cidr, len(self.zones))


class Network(pulumi.ComponentResource):
    """A VPC with public, private, intra and data subnets; only the private tier has a way out that it did not open."""

    vpc_id: pulumi.Output[str]
    cidr: str
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    intra_subnet_ids: list[pulumi.Output[str]]
    data_subnet_ids: list[pulumi.Output[str]]

    def __init__(
        self, name: str, args: NetworkArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:network:Network", name, None, opts)
        self._name, self._args, self._context = name, args, context
        self._child = pulumi.ResourceOptions(parent=self)
        self._vpc = ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags("vpc"),
            opts=context.keep(self._child),
        )
        self.vpc_id, self.cidr = self._vpc.id, args.cidr
        self._close_defaults()
        FlowLogs(f"{name}-flow-logs", self.vpc_id, context=context, opts=self._child)
        closed = self._subnets()
        Endpoints(
            f"{name}-endpoints",
            EndpointsArgs(vpc_id=self.vpc_id, cidr=self.cidr, subnet_ids=self.intra_subnet_ids, route_table_ids=closed),
            context=context,
            opts=self._child,
        )
        self.register_outputs({"vpc_id": self.vpc_id, "cidr": self.cidr})

    def _tags(self, role: str) -> dict[str, str]:
        return {**self._context.tags(self._name), "Name": f"{self._context.environment}-{self._name}-{role}"}

    def _subnets(self) -> list[pulumi.Output[str]]:
        """Make the tiers; returns the route tables of all of them."""
        name, args = self._name, self._args
        plan = addresses.plan(args.cidr, len(args.zones))
        gateway = ec2.InternetGateway(
            f"{name}-internet", vpc_id=self.vpc_id, tags=self._tags("internet"), opts=self._child
        )
        public = self._routes("public", ec2.RouteTableRouteArgs(cidr_block=_ANYWHERE, gateway_id=gateway.id))
        data, intra = self._routes("data"), self._routes("intra")
        tables = [public, data, intra]
        self.public_subnet_ids, self.private_subnet_ids = [], []
        self.intra_subnet_ids, self.data_subnet_ids = [], []
        nat = self._regional_nat(gateway) if args.nat is Nat.REGIONAL else None
        for number, zone in enumerate(args.zones):
            # The tags by which the AWS Load Balancer Controller finds where to put public and internal balancers.
            outside = self._subnet("public", zone, plan.public[number], public, {"kubernetes.io/role/elb": "1"})
            self._open(zone, outside)
            if args.nat is Nat.PER_ZONE or (args.nat is Nat.SINGLE and nat is None):
                nat = self._nat(zone, outside, gateway)
            private = self._routes(
                f"private-{zone}",
                *([ec2.RouteTableRouteArgs(cidr_block=_ANYWHERE, nat_gateway_id=nat.id)] if nat else []),
            )
            tables.append(private)
            inside = self._subnet(
                "private", zone, plan.private[number], private, {"kubernetes.io/role/internal-elb": "1"}
            )
            self.public_subnet_ids.append(outside.id)
            self.private_subnet_ids.append(inside.id)
            self.intra_subnet_ids.append(self._subnet("intra", zone, plan.intra[number], intra).id)
            self.data_subnet_ids.append(self._subnet("data", zone, plan.data[number], data).id)
        return [table.id for table in tables]

    def _close_defaults(self) -> None:
        name, child = self._name, self._child
        # For the whole Region of the account: an environment has an account of its own.
        ec2.VpcBlockPublicAccessOptions(f"{name}-closed", internet_gateway_block_mode="block-bidirectional", opts=child)
        ec2.DefaultSecurityGroup(
            f"{name}-default", vpc_id=self.vpc_id, ingress=[], egress=[], tags=self._tags("closed"), opts=child
        )
        ec2.DefaultNetworkAcl(
            f"{name}-default",
            default_network_acl_id=self._vpc.default_network_acl_id,
            ingress=[],
            egress=[],
            tags=self._tags("closed"),
            # Subnets start in this list and leave it for the open one below; AWS moves them, not Pulumi.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["subnetIds"]),
        )
        ec2.DefaultRouteTable(
            f"{name}-default",
            default_route_table_id=self._vpc.default_route_table_id,
            routes=[],
            tags=self._tags("closed"),
            opts=child,
        )
        self._acl = ec2.NetworkAcl(
            f"{name}-subnets",
            vpc_id=self.vpc_id,
            ingress=acl_rules(self.cidr),
            egress=[
                ec2.NetworkAclEgressArgs(
                    rule_no=100, action="allow", protocol="-1", from_port=0, to_port=0, cidr_block=_ANYWHERE
                )
            ],
            tags=self._tags("subnets"),
            opts=child,
        )

    def _routes(self, role: str, *routes: ec2.RouteTableRouteArgs) -> ec2.RouteTable:
        return ec2.RouteTable(
            f"{self._name}-{role}", vpc_id=self.vpc_id, routes=list(routes), tags=self._tags(role), opts=self._child
        )

    def _subnet(
        self, tier: str, zone: str, cidr: str, table: ec2.RouteTable, tags: dict[str, str] | None = None
    ) -> ec2.Subnet:
        name = f"{self._name}-{tier}-{zone}"
        subnet = ec2.Subnet(
            name,
            vpc_id=self.vpc_id,
            availability_zone=zone,
            cidr_block=cidr,
            map_public_ip_on_launch=False,
            tags={**self._tags(f"{tier}-{zone}"), "Tier": tier, **(tags or {})},
            opts=self._child,
        )
        ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=table.id, opts=self._child)
        ec2.NetworkAclAssociation(name, subnet_id=subnet.id, network_acl_id=self._acl.id, opts=self._child)
        return subnet

    def _open(self, zone: str, subnet: ec2.Subnet) -> None:
        ec2.VpcBlockPublicAccessExclusion(
            f"{self._name}-public-{zone}",
            subnet_id=subnet.id,
            internet_gateway_exclusion_mode="allow-bidirectional",
            tags=self._tags(f"public-{zone}"),
            opts=self._child,
        )

    def _nat(self, zone: str, subnet: ec2.Subnet, gateway: ec2.InternetGateway) -> ec2.NatGateway:
        name = f"{self._name}-nat-{zone}"
        # AWS: an address can be released, and a NAT gateway works, only while the internet gateway is attached.
        after = pulumi.ResourceOptions(parent=self, depends_on=[gateway])
        address = ec2.Eip(name, domain="vpc", tags=self._tags(f"nat-{zone}"), opts=after)
        return ec2.NatGateway(
            name, subnet_id=subnet.id, allocation_id=address.id, tags=self._tags(f"nat-{zone}"), opts=after
        )

    def _regional_nat(self, gateway: ec2.InternetGateway) -> ec2.NatGateway:
        # It stands in no subnet, so the network as a whole may open connections, and still accepts none.
        ec2.VpcBlockPublicAccessExclusion(
            f"{self._name}-out",
            vpc_id=self.vpc_id,
            internet_gateway_exclusion_mode="allow-egress",
            tags=self._tags("out"),
            opts=self._child,
        )
        return ec2.NatGateway(
            f"{self._name}-nat",
            vpc_id=self.vpc_id,
            availability_mode="regional",
            tags=self._tags("nat"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[gateway]),
        )
