"""The network of an environment: three tiers of subnets over several zones, closed unless opened.

It owns the VPC, its subnets and routes, the ways out (internet gateway, NAT) and the private ways to AWS (endpoints),
and the flow logs. The default security group, network ACL and route table are emptied: what forgets to choose gets
nothing.

Money: a NAT gateway costs about 35 USD a month and zone plus traffic, an interface endpoint about 8 USD a month and
zone (AWS price list, eu-west-3): endpoints pay for themselves when much traffic would otherwise cross a NAT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pulumi
from pulumi_aws import cloudwatch, ec2
from pulumi_aws import iam as aws_iam

from components import addresses, encryption, iam
from components.context import Context

# Two zones are the least that survives the loss of one; four is what the subnet plan has room for.
_ZONES = range(2, 5)
_ANYWHERE = "0.0.0.0/0"


class Nat(StrEnum):
    """How private subnets reach the internet: not at all, through one gateway, or through one in each zone."""

    NONE = "none"
    SINGLE = "single"
    PER_ZONE = "per-zone"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkArgs:
    """``zones`` are availability zone names; ``endpoints`` are AWS services reached without leaving the network."""

    cidr: str
    zones: Sequence[str]
    nat: Nat
    endpoints: Sequence[str] = ("ecr.api", "ecr.dkr", "kms", "logs", "secretsmanager", "sqs", "states", "sts")

    def __post_init__(self) -> None:
        if len(self.zones) not in _ZONES or len(set(self.zones)) != len(self.zones):
            raise ValueError(
                f"zones are {list(self.zones)}; the network needs {_ZONES.start} to {_ZONES.stop - 1} different ones, "
                "so that it survives the loss of one: set network.zones"
            )
        addresses.plan(self.cidr, len(self.zones))


class Network(pulumi.ComponentResource):
    """A VPC with public, private and data subnets; the data tier has no route out."""

    vpc_id: pulumi.Output[str]
    cidr: str
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    data_subnet_ids: list[pulumi.Output[str]]

    def __init__(
        self, name: str, args: NetworkArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:network:Network", name, None, opts)
        self._name, self._args, self._context = name, args, context
        self._child = pulumi.ResourceOptions(parent=self)
        plan = addresses.plan(args.cidr, len(args.zones))

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
        self._log_flows()

        gateway = ec2.InternetGateway(
            f"{name}-internet", vpc_id=self.vpc_id, tags=self._tags("internet"), opts=self._child
        )
        public = ec2.RouteTable(
            f"{name}-public",
            vpc_id=self.vpc_id,
            routes=[ec2.RouteTableRouteArgs(cidr_block=_ANYWHERE, gateway_id=gateway.id)],
            tags=self._tags("public"),
            opts=self._child,
        )
        data = ec2.RouteTable(f"{name}-data", vpc_id=self.vpc_id, tags=self._tags("data"), opts=self._child)

        self.public_subnet_ids, self.private_subnet_ids, self.data_subnet_ids = [], [], []
        tables = [public, data]
        nat: ec2.NatGateway | None = None
        for zone, private_cidr, public_cidr, data_cidr in zip(
            args.zones, plan.private, plan.public, plan.data, strict=True
        ):
            # The tags by which the AWS Load Balancer Controller finds where to put public and internal balancers.
            outside = self._subnet("public", zone, public_cidr, public, {"kubernetes.io/role/elb": "1"})
            if args.nat is Nat.PER_ZONE or (args.nat is Nat.SINGLE and nat is None):
                nat = self._nat(zone, outside, gateway)
            private = self._private_routes(zone, nat)
            tables.append(private)
            inside = self._subnet("private", zone, private_cidr, private, {"kubernetes.io/role/internal-elb": "1"})
            kept = self._subnet("data", zone, data_cidr, data, {})
            self.public_subnet_ids.append(outside.id)
            self.private_subnet_ids.append(inside.id)
            self.data_subnet_ids.append(kept.id)
        self._reach_aws(tables)
        self.register_outputs({"vpc_id": self.vpc_id, "cidr": self.cidr})

    def _tags(self, role: str) -> dict[str, str]:
        return {**self._context.tags(self._name), "Name": f"{self._context.environment}-{self._name}-{role}"}

    def _close_defaults(self) -> None:
        name, child = self._name, self._child
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
            ingress=_acl_rules(self.cidr),
            egress=[
                ec2.NetworkAclEgressArgs(
                    rule_no=100, action="allow", protocol="-1", from_port=0, to_port=0, cidr_block=_ANYWHERE
                )
            ],
            tags=self._tags("subnets"),
            opts=child,
        )

    def _subnet(self, tier: str, zone: str, cidr: str, table: ec2.RouteTable, tags: dict[str, str]) -> ec2.Subnet:
        name = f"{self._name}-{tier}-{zone}"
        subnet = ec2.Subnet(
            name,
            vpc_id=self.vpc_id,
            availability_zone=zone,
            cidr_block=cidr,
            map_public_ip_on_launch=False,
            tags={**self._tags(f"{tier}-{zone}"), "Tier": tier, **tags},
            opts=self._child,
        )
        ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=table.id, opts=self._child)
        ec2.NetworkAclAssociation(name, subnet_id=subnet.id, network_acl_id=self._acl.id, opts=self._child)
        return subnet

    def _nat(self, zone: str, subnet: ec2.Subnet, gateway: ec2.InternetGateway) -> ec2.NatGateway:
        name = f"{self._name}-nat-{zone}"
        # AWS: an address can be released, and a NAT gateway works, only while the internet gateway is attached.
        after = pulumi.ResourceOptions(parent=self, depends_on=[gateway])
        address = ec2.Eip(name, domain="vpc", tags=self._tags(f"nat-{zone}"), opts=after)
        return ec2.NatGateway(
            name, subnet_id=subnet.id, allocation_id=address.id, tags=self._tags(f"nat-{zone}"), opts=after
        )

    def _private_routes(self, zone: str, nat: ec2.NatGateway | None) -> ec2.RouteTable:
        routes = [ec2.RouteTableRouteArgs(cidr_block=_ANYWHERE, nat_gateway_id=nat.id)] if nat else []
        return ec2.RouteTable(
            f"{self._name}-private-{zone}",
            vpc_id=self.vpc_id,
            routes=routes,
            tags=self._tags(f"private-{zone}"),
            opts=self._child,
        )

    def _reach_aws(self, tables: Sequence[ec2.RouteTable]) -> None:
        ec2.VpcEndpoint(
            f"{self._name}-s3",
            vpc_id=self.vpc_id,
            service_name=f"com.amazonaws.{self._context.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables],
            tags=self._tags("s3"),
            opts=self._child,
        )
        if not self._args.endpoints:
            return
        group = ec2.SecurityGroup(
            f"{self._name}-endpoints",
            description="HTTPS from inside the network to AWS services",
            vpc_id=self.vpc_id,
            ingress=[
                ec2.SecurityGroupIngressArgs(
                    description="HTTPS from the network",
                    protocol="tcp",
                    from_port=443,
                    to_port=443,
                    cidr_blocks=[self.cidr],
                )
            ],
            tags=self._tags("endpoints"),
            opts=self._child,
        )
        for service in self._args.endpoints:
            ec2.VpcEndpoint(
                f"{self._name}-{service.replace('.', '-')}",
                vpc_id=self.vpc_id,
                service_name=f"com.amazonaws.{self._context.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=self.private_subnet_ids,
                security_group_ids=[group.id],
                tags=self._tags(service),
                opts=self._child,
            )

    def _log_flows(self) -> None:
        name, context, child = f"{self._name}-flow-logs", self._context, self._child
        key = encryption.key(
            name, context=context, purpose="Flow logs", services=(f"logs.{context.region}.amazonaws.com",), opts=child
        )
        group = cloudwatch.LogGroup(
            name,
            kms_key_id=key.arn,
            retention_in_days=context.log_retention_days,
            tags=self._tags("flow-logs"),
            opts=child,
        )
        role = aws_iam.Role(
            name, assume_role_policy=iam.trust("vpc-flow-logs.amazonaws.com"), tags=self._tags("flow-logs"), opts=child
        )
        aws_iam.RolePolicy(
            name,
            role=role.id,
            policy=group.arn.apply(
                lambda arn: iam.document(
                    iam.allow(
                        ("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"), (arn, f"{arn}:*")
                    )
                )
            ),
            opts=child,
        )
        ec2.FlowLog(
            name,
            vpc_id=self.vpc_id,
            traffic_type="ALL",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=60,
            tags=self._tags("flow-logs"),
            opts=child,
        )


def _acl_rules(cidr: str) -> list[ec2.NetworkAclIngressArgs]:
    """What may enter a subnet; the security groups decide within that.

    From outside: HTTP(S) to load balancers, and answers to connections that a NAT gateway opened, which use ports 1024
    to 65535 (Amazon VPC User Guide, "NAT gateway basics"), less remote desktop.
    """
    rules = [
        ("allow", "-1", 0, 0, cidr),
        ("allow", "tcp", 80, 80, _ANYWHERE),
        ("allow", "tcp", 443, 443, _ANYWHERE),
        ("deny", "tcp", 3389, 3389, _ANYWHERE),
        ("allow", "tcp", 1024, 65535, _ANYWHERE),
        ("allow", "udp", 1024, 65535, _ANYWHERE),
    ]
    return [
        ec2.NetworkAclIngressArgs(
            rule_no=100 + 10 * number,
            action=action,
            protocol=protocol,
            from_port=first,
            to_port=last,
            cidr_block=source,
        )
        for number, (action, protocol, first, last, source) in enumerate(rules)
    ]
