"""What there is room for: more pods and nodes in the namespace's quota, the account's vCPUs, the subnets' addresses.

It counts as if nothing more would fit into what runs already: where it says that there is enough, there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil

from runbooks._kit.kubernetes import REQUESTS, Size
from runbooks._kit.machines import NodeGroup
from runbooks._kit.target import Target

# IAM actions that looking takes.
LOOKS = frozenset(
    {"ec2:DescribeInstanceTypes", "ec2:DescribeInstances", "ec2:DescribeSubnets", "servicequotas:GetServiceQuota"}
)
# Amazon EC2, "On-Demand Instance quotas": vCPUs of running instances of the standard families, and its code.
_STANDARD, _QUOTA = re.compile(r"(a|c|d|h|i|im|is|m|r|t|z)\d"), "L-1216C47A"


@dataclass(frozen=True, slots=True)
class Room:
    """What may still be had of something, and how much of it is needed."""

    of: str
    left: Decimal
    needed: Decimal

    @property
    def enough(self) -> bool:
        return self.needed == 0 or self.needed <= self.left


@dataclass(frozen=True, slots=True)
class _Kind:
    """An instance type: its vCPUs, and the addresses that its network interfaces take of a subnet at most."""

    vcpus: int
    addresses: int


def rooms(target: Target, left: Mapping[str, Decimal], wanted: Sequence[tuple[Size | NodeGroup, int]]) -> list[Room]:
    """For as many pods and nodes as are ``wanted``; ``left`` is what the namespace's quota still allows."""
    pods = [(of, max(0, least - of.pods)) for of, least in wanted if isinstance(of, Size)]
    nodes = [(of, max(0, least - of.desired)) for of, least in wanted if isinstance(of, NodeGroup)]
    asked = {name: sum((of.pod[name] * more for of, more in pods), Decimal()) for name in REQUESTS}
    return [
        *(Room(f"{name} in the namespace's quota", left[name], asked[name]) for name in REQUESTS if name in left),
        *_of_aws(target, nodes, pods=int(asked["pods"]), cpus=ceil(asked["requests.cpu"])),
    ]


def _of_aws(target: Target, nodes: Sequence[tuple[NodeGroup, int]], *, pods: int, cpus: int) -> Iterator[Room]:
    """Whatever buys them: a group for itself, or Karpenter for pods that find no place."""
    known = _kinds(target, {group.type for group, _ in nodes})
    cpus = max(cpus, sum(known[group.type].vcpus * more for group, more in nodes))
    yield Room("vCPUs in the account's quota of EC2", Decimal(_vcpus_left(target)), Decimal(cpus))
    subnets = {subnet for group, _ in nodes for subnet in group.subnets}
    for subnet, left in sorted(_addresses_left(target, subnets).items()):
        shares = [(ceil(more / len(of.subnets)), known[of.type]) for of, more in nodes if subnet in of.subnets]
        needed = max(sum(more * kind.addresses for more, kind in shares), ceil(pods / len(subnets)))
        yield Room(f"addresses in {subnet}", Decimal(left), Decimal(needed))


def _kinds(target: Target, types: set[str]) -> dict[str, _Kind]:
    if not types:
        return {}
    pages = target.client("ec2").get_paginator("describe_instance_types").paginate(InstanceTypes=sorted(types))
    return {
        each["InstanceType"]: _Kind(
            each["VCpuInfo"]["DefaultVCpus"],
            each["NetworkInfo"]["MaximumNetworkInterfaces"] * each["NetworkInfo"]["Ipv4AddressesPerInterface"],
        )
        for page in pages
        for each in page["InstanceTypes"]
    }


def _vcpus_left(target: Target) -> int:
    """Those of on-demand instances; the spot market has a quota of its own."""
    allowed = target.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=_QUOTA)["Quota"]["Value"]
    running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    types = [
        instance["InstanceType"]
        for page in target.client("ec2").get_paginator("describe_instances").paginate(Filters=running)
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
        if _STANDARD.match(instance["InstanceType"]) and "InstanceLifecycle" not in instance
    ]
    known = _kinds(target, set(types))
    return int(allowed) - sum(known[each].vcpus for each in types)


def _addresses_left(target: Target, subnets: set[str]) -> dict[str, int]:
    if not subnets:
        return {}
    found = target.client("ec2").describe_subnets(SubnetIds=sorted(subnets))["Subnets"]
    return {each["SubnetId"]: each["AvailableIpAddressCount"] for each in found}
