"""The machines below the cluster: EKS's managed groups of nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runbooks._kit.target import Target

NODES = "NodeGroup"
# Amazon EC2 API Reference, "DescribeInstances": values of one filter.
_VALUES = 200
# IAM actions that looking at them takes, and changing them.
LOOKS, CHANGES = frozenset({"eks:ListNodegroups", "eks:DescribeNodegroup"}), frozenset({"eks:UpdateNodegroupConfig"})


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """A managed group of nodes; ``type`` is the first of its instance types."""

    name: str
    least: int
    desired: int
    most: int
    status: str
    type: str
    subnets: tuple[str, ...]

    @property
    def told(self) -> dict[str, Any]:
        """What `resize` needs to bring this back."""
        return {"kind": NODES, "name": self.name, "least": self.least, "desired": self.desired}


def node_groups(target: Target) -> dict[str, NodeGroup]:
    """The groups of the environment's cluster, by name."""
    eks, cluster = target.client("eks"), target.operations.cluster_name
    names = [
        name
        for page in eks.get_paginator("list_nodegroups").paginate(clusterName=cluster)
        for name in page["nodegroups"]
    ]
    return {
        name: _group(eks.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"]) for name in names
    }


def _group(told: Mapping[str, Any]) -> NodeGroup:
    sizes = told["scalingConfig"]
    return NodeGroup(
        name=told["nodegroupName"],
        least=sizes["minSize"],
        desired=sizes["desiredSize"],
        most=sizes["maxSize"],
        status=told["status"],
        type=told["instanceTypes"][0],
        subnets=tuple(told["subnets"]),
    )


def resize(target: Target, told: Mapping[str, Any]) -> None:
    """Have the group ``told`` (as `NodeGroup.told`) have so many nodes; EKS drains those that are too many."""
    target.client("eks").update_nodegroup_config(
        clusterName=target.operations.cluster_name,
        nodegroupName=told["name"],
        scalingConfig={"minSize": told["least"], "desiredSize": told["desired"]},
    )


def states(target: Target, instances: Sequence[str]) -> dict[str, str]:
    """What EC2 says of instances, by id; it forgets those that ended an hour ago."""
    pages = target.client("ec2").get_paginator("describe_instances")
    asked = [list(instances[start : start + _VALUES]) for start in range(0, len(instances), _VALUES)]
    return {
        each["InstanceId"]: each["State"]["Name"]
        for ids in asked
        for page in pages.paginate(Filters=[{"Name": "instance-id", "Values": ids}])
        for reservation in page["Reservations"]
        for each in reservation["Instances"]
    }
