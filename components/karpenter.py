"""Machines for pods that wait: Karpenter buys what they need, on the spot market where that is allowed.

The managed node group runs the operators, and so Karpenter itself; everything beyond it comes and goes with the pods.
It refuses a limit below what the namespace may request: pods within their quota would wait for ever. AWS tells a queue
when it takes a spot machine back or retires one, and Karpenter moves the pods in the two minutes that remain.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
from pulumi_aws import cloudwatch, sqs
from pulumi_aws import iam as aws_iam

from components import encryption
from components.alarm import alarm
from components.context import Context
from components.karpenter_policy import controller_policy
from components.pod_identity import pod_identity
from components.queues import queue
from components.severity import Severity

CHART, CHART_VERSION = "oci://public.ecr.aws/karpenter/karpenter", "1.14.0"
_NAME, _NAMESPACE = "karpenter", "karpenter"
# What AWS says of machines, beforehand (EC2 User Guide, "Spot Instance interruption notices", and AWS Health).
_EVENTS: Mapping[str, tuple[str, str]] = {
    "interruption": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "state": ("aws.ec2", "EC2 Instance State-change Notification"),
    "health": ("aws.health", "AWS Health Event"),
}
# Seconds. A warning is of no use after the machine is gone.
_WARNING_KEPT = 300
_WORKED_ON, _DELIVERIES = 30, 5
_TELLS = "events.amazonaws.com"
# Hours after which a node is replaced by one of the current image, whatever happens.
_NODE_LIFE = "336h"
# Generations that Bottlerocket runs on and that cost no more than what they replace.
_FAMILIES, _OLDEST = ("c", "m", "r"), "5"


@dataclass(frozen=True, slots=True, kw_only=True)
class KarpenterArgs:
    """``cpu`` and ``memory_gib`` are the most that all its machines have together; ``spot`` allows the spot market.

    ``needed_cpu`` and ``needed_memory_gib`` are what pods may request at most.
    """

    cluster_name: pulumi.Input[str]
    cluster_id: str
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    node_role_name: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]
    spot: bool
    cpu: int
    memory_gib: int
    needed_cpu: int
    needed_memory_gib: int

    def __post_init__(self) -> None:
        for name, limit, needed in (
            ("cpu", self.cpu, self.needed_cpu),
            ("memory_gib", self.memory_gib, self.needed_memory_gib),
        ):
            if limit < needed:
                raise ValueError(
                    f"cluster.limits.{name} is {limit} and quota.{name} {needed}; pods within their quota would wait "
                    "for ever: raise the limit or lower the quota"
                )


def node_pool(args: KarpenterArgs) -> dict[str, Any]:
    """What machines may be bought, when they are given back, and how many at once."""
    markets = ["spot", "on-demand"] if args.spot else ["on-demand"]
    requirements: Mapping[str, tuple[str, Sequence[str]]] = {
        "karpenter.sh/capacity-type": ("In", markets),
        "kubernetes.io/arch": ("In", ["amd64"]),
        "kubernetes.io/os": ("In", ["linux"]),
        "karpenter.k8s.aws/instance-category": ("In", _FAMILIES),
        "karpenter.k8s.aws/instance-generation": ("Gt", [_OLDEST]),
    }
    return {
        "template": {
            "spec": {
                "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": _NAME},
                "expireAfter": _NODE_LIFE,
                "requirements": [
                    {"key": key, "operator": operator, "values": list(values)}
                    for key, (operator, values) in requirements.items()
                ],
            }
        },
        "limits": {"cpu": str(args.cpu), "memory": f"{args.memory_gib}Gi"},
        "disruption": {
            "consolidationPolicy": "WhenEmptyOrUnderutilized",
            # A lull in a sale is not its end.
            "consolidateAfter": "5m",
            "budgets": [{"nodes": "10%"}],
        },
    }


class Karpenter(pulumi.ComponentResource):
    """The controller with its role, the queue of warnings, what nodes are like, and what may be bought."""

    def __init__(
        self, name: str, args: KarpenterArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:cluster:Karpenter", name, None, opts)
        self._name, self._args, self._context = name, args, context
        self._child = pulumi.ResourceOptions(parent=self)
        warnings = self._warnings()
        identity = pod_identity(
            name,
            cluster_name=args.cluster_name,
            namespace=_NAMESPACE,
            service_account=_NAME,
            policy=pulumi.Output.all(context.place, warnings.arn, args.node_role_arn).apply(
                lambda known: controller_policy(
                    known[0], cluster=args.cluster_id, queue_arn=known[1], node_role_arn=known[2]
                )
            ),
            context=context,
            opts=self._child,
        )
        release = k8s.helm.v3.Release(
            name,
            name=_NAME,
            chart=CHART,
            version=CHART_VERSION,
            namespace=_NAMESPACE,
            create_namespace=True,
            atomic=True,
            timeout=600,
            values=values(args.cluster_name, warnings.name, production=context.production),
            opts=pulumi.ResourceOptions(parent=self, depends_on=identity.ready),
        )
        self._pool(release)
        self.register_outputs({})

    def _warnings(self) -> sqs.Queue:
        name, context = f"{self._name}-warnings", self._context
        key = encryption.key(
            name, context=context, purpose="Warnings about machines", services=(_TELLS,), opts=self._child
        )
        told, _ = queue(
            name,
            key_arn=key.arn,
            visibility=_WORKED_ON,
            deliveries=_DELIVERIES,
            retention=_WARNING_KEPT,
            senders=[
                pulumi.Output.from_input(context.account_id).apply(
                    lambda account: {
                        "principal": {"Service": _TELLS},
                        "condition": {"StringEquals": {"aws:SourceAccount": account}},
                    }
                )
            ],
            tags=context.tags(self._name),
            opts=self._child,
        )
        for role, (source, kind) in _EVENTS.items():
            rule = cloudwatch.EventRule(
                f"{name}-{role}",
                description=f"{kind}: told to Karpenter",
                event_pattern=json.dumps({"source": [source], "detail-type": [kind]}),
                tags=context.tags(self._name),
                opts=self._child,
            )
            cloudwatch.EventTarget(f"{name}-{role}", rule=rule.name, arn=told.arn, opts=self._child)
        alarm(
            f"{name}-unread",
            context=context,
            says="Karpenter does not read AWS's warnings: machines go without their pods being moved.",
            runbook="nodes_missing",
            namespace="AWS/SQS",
            metric="ApproximateAgeOfOldestMessage",
            dimensions={"QueueName": told.name},
            above=120,
            severity=Severity.TICKET,
            opts=self._child,
        )
        return told

    def _pool(self, release: k8s.helm.v3.Release) -> None:
        args, after = self._args, pulumi.ResourceOptions(parent=self, depends_on=[release])
        meta = k8s.meta.v1.ObjectMetaArgs(name=_NAME)
        profile = aws_iam.InstanceProfile(
            self._name, role=args.node_role_name, tags=self._context.tags(self._name), opts=self._child
        )
        nodes = k8s.apiextensions.CustomResource(
            f"{self._name}-nodes",
            api_version="karpenter.k8s.aws/v1",
            kind="EC2NodeClass",
            metadata=meta,
            spec={
                "amiSelectorTerms": [{"alias": "bottlerocket@latest"}],
                "instanceProfile": profile.name,
                "subnetSelectorTerms": [{"id": subnet} for subnet in args.subnet_ids],
                "securityGroupSelectorTerms": [{"id": args.security_group_id}],
                # One hop: a pod cannot take its node's role.
                "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1},
                "blockDeviceMappings": [
                    {
                        "deviceName": device,
                        "ebs": {
                            "volumeSize": size,
                            "volumeType": "gp3",
                            "encrypted": True,
                            "deleteOnTermination": True,
                        },
                    }
                    # Bottlerocket: its own volume, and the one for images and pods.
                    for device, size in (("/dev/xvda", "4Gi"), ("/dev/xvdb", "50Gi"))
                ],
                "tags": self._context.tags(self._name),
            },
            opts=after,
        )
        k8s.apiextensions.CustomResource(
            f"{self._name}-pool",
            api_version="karpenter.sh/v1",
            kind="NodePool",
            metadata=meta,
            spec=node_pool(args),
            # Nodes are drained and gone before what makes them goes.
            opts=pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(depends_on=[nodes])),
        )


def values(cluster: pulumi.Input[str], queue: pulumi.Input[str], *, production: bool) -> dict[str, Any]:
    """The chart's values: two replicas in production, bounded, restricted."""
    size = {"cpu": "200m", "memory": "512Mi"}
    return {
        "replicas": 2 if production else 1,
        "serviceAccount": {"name": _NAME},
        "settings": {"clusterName": cluster, "interruptionQueue": queue},
        "controller": {"resources": {"requests": size, "limits": {"memory": size["memory"]}}},
        "podSecurityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }
