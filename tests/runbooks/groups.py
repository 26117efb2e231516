"""A managed node group on the simulated EKS, its machines on the simulated EC2, its nodes on the real API server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from kubernetes import client

from tests.runbooks.clusters import Workloads
from tests.runbooks.environment import ACCOUNT, Environment

ZONES = ("eu-west-3a", "eu-west-3b", "eu-west-3c")
_ROLE = f"arn:aws:iam::{ACCOUNT}:role/nodes"


@dataclass
class Group:
    """A group of machines with a subnet in each zone: three at least, twelve at most."""

    environment: Environment
    workloads: Workloads
    name: str = "nodes"
    type: str = "m7i.large"
    nodes: dict[str, str] = field(default_factory=dict)
    """Instance ids by the names of nodes."""
    first: dict[str, str] = field(default_factory=dict)
    """The node with which it began, by zone."""

    def __post_init__(self) -> None:
        ec2, eks, cluster = self._ec2, self.environment.aws("eks"), self.environment.record["clusterName"]
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = {
            zone: ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=zone)["Subnet"][
                "SubnetId"
            ]
            for number, zone in enumerate(ZONES)
        }
        subnets = list(self.subnets.values())
        eks.create_cluster(name=cluster, roleArn=_ROLE, resourcesVpcConfig={"subnetIds": subnets})
        eks.create_nodegroup(
            clusterName=cluster,
            nodegroupName=self.name,
            nodeRole=_ROLE,
            subnets=subnets,
            instanceTypes=[self.type],
            scalingConfig={"minSize": 3, "desiredSize": 3, "maxSize": 12},
        )

    @property
    def _ec2(self) -> Any:
        return self.environment.aws("ec2")

    @property
    def sizes(self) -> tuple[int, int]:
        """Least and desired."""
        cluster = self.environment.record["clusterName"]
        told = self.environment.aws("eks").describe_nodegroup(clusterName=cluster, nodegroupName=self.name)
        scaling = told["nodegroup"]["scalingConfig"]
        return scaling["minSize"], scaling["desiredSize"]

    def join(self, zone: str, *, group: str | None = None) -> str:
        """A machine of the group (or of another, or of none) starts in ``zone`` and joins the cluster; returns its
        node's name.
        """
        [started] = self._ec2.run_instances(
            ImageId="ami-12345678", InstanceType=self.type, MinCount=1, MaxCount=1, SubnetId=self.subnets[zone]
        )["Instances"]
        name = f"ip-{started['PrivateIpAddress'].replace('.', '-')}.{self.environment.name}"
        self.nodes[name] = started["InstanceId"]
        self._register(name, zone, self.name if group is None else group)
        return name

    def _register(self, name: str, zone: str, group: str) -> None:
        labels = {"topology.kubernetes.io/zone": zone, "eks.amazonaws.com/nodegroup": group}
        machine = f"aws:///{zone}/{self.nodes[name]}"
        self._core.create_node({"metadata": {"name": name, "labels": labels}, "spec": {"providerID": machine}})
        self.heard_of(name)

    def leave_and_return(self, name: str) -> None:
        """The node is removed and registers again: another one under the same name."""
        self._core.delete_node(name)
        self._register(name, ZONES[0], self.name)

    def most(self, nodes: int) -> None:
        """Have ``nodes`` at most."""
        self.environment.aws("eks").update_nodegroup_config(
            clusterName=self.environment.record["clusterName"],
            nodegroupName=self.name,
            scalingConfig={"minSize": 3, "desiredSize": 3, "maxSize": nodes},
        )

    def leave(self) -> None:
        """All nodes and machines are gone: a quota counts those of an account."""
        for name in self.known():
            self._core.delete_node(name)
        self._ec2.terminate_instances(InstanceIds=list(self.nodes.values()))

    def heard_of(self, name: str, *, ready: bool = True) -> None:
        """Its kubelet says that it is ready, or says nothing any more."""
        condition = {"type": "Ready", "status": "True" if ready else "Unknown"}
        self._core.patch_node_status(name, {"status": {"conditions": [condition]}})

    def end(self, name: str) -> None:
        """Its machine is ended, and nothing is heard of it any more."""
        self._ec2.terminate_instances(InstanceIds=[self.nodes[name]])
        self.heard_of(name, ready=False)

    def known(self) -> set[str]:
        """Names of the nodes that Kubernetes has."""
        return {node.metadata.name for node in self._core.list_node().items}

    @property
    def _core(self) -> Any:
        return client.CoreV1Api(self.workloads.api)


@pytest.fixture
def group(environment: Environment, workloads: Workloads) -> Iterator[Group]:
    made = Group(environment, workloads)
    made.first = {zone: made.join(zone) for zone in ZONES}
    yield made
    made.leave()
