"""How many pods of a process run: by processor for what answers requests, by backlog for what works it off.

It refuses a range that is none. Whoever scales by backlog names a queue that the scaler can read: one on SQS, which
KEDA reads with its own role, or one on the broker, which it reads with the credentials of the process itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

# Of the requested processor time. Sales open in a minute: a pod more must be there before the others are full.
_CPU_PERCENT = 60
# Seconds. Up at once, down slowly: a lull in a sale is not its end.
_CALM = 300
# Messages that one worker is expected to have waiting, and how often KEDA looks (seconds).
_BACKLOG, _LOOK_EVERY = 20, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Sqs:
    """A queue on SQS."""

    url: pulumi.Input[str]

    def trigger(self, region: str) -> dict[str, Any]:
        """The KEDA scaler "AWS SQS Queue"; messages in flight count, or a busy worker is removed."""
        return {
            "type": "aws-sqs-queue",
            "metadata": {
                "queueURL": self.url,
                "awsRegion": region,
                "queueLength": str(_BACKLOG),
                "scaleOnInFlight": "true",
                "identityOwner": "operator",
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerQueue:
    """A queue on RabbitMQ; ``url_variable`` is the process's own variable with the broker's URL."""

    name: str
    url_variable: str

    def trigger(self, region: str) -> dict[str, Any]:
        """The KEDA scaler "RabbitMQ Queue"."""
        return {
            "type": "rabbitmq",
            "metadata": {
                "protocol": "amqp",
                "hostFromEnv": self.url_variable,
                "queueName": self.name,
                "mode": "QueueLength",
                "value": str(_BACKLOG),
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """The processor time that the pods use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Between ``least`` and ``most`` pods, decided ``by`` something; equal numbers are a fixed size."""

    least: int
    most: int
    by: Cpu | Sqs | BrokerQueue | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ValueError(
                f"a process scales from {self.least} to {self.most} pods; it needs at least one, and no fewer at most "
                "than at least: set replicas and max_replicas of the service"
            )
        if self.by is None and self.most > self.least:
            raise ValueError(
                f"a process scales from {self.least} to {self.most} pods by nothing; name what decides (Cpu, Sqs or "
                "BrokerQueue), or make both numbers equal"
            )

    @property
    def fixed(self) -> bool:
        """Whether nothing scales it: the Deployment itself says how many."""
        return self.by is None or self.least == self.most


def autoscale(
    name: str,
    scaling: Scaling,
    *,
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
    region: str,
    opts: pulumi.ResourceOptions,
) -> None:
    """Make what scales the Deployment ``name``: an autoscaler on its processors, or a ScaledObject for KEDA."""
    if scaling.fixed:
        return
    meta = k8s.meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=dict(labels))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    behavior = {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": _CALM,
            "policies": [{"type": "Percent", "value": 25, "periodSeconds": 60}],
        },
    }
    if isinstance(scaling.by, Sqs | BrokerQueue):
        k8s.apiextensions.CustomResource(
            f"{name}-scaler",
            api_version="keda.sh/v1alpha1",
            kind="ScaledObject",
            metadata=meta,
            spec={
                "scaleTargetRef": target,
                "minReplicaCount": scaling.least,
                "maxReplicaCount": scaling.most,
                "pollingInterval": _LOOK_EVERY,
                "cooldownPeriod": _CALM,
                "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}},
                # Blind is not idle: without an answer from the queue, the number stays what a normal day needs.
                "fallback": {"failureThreshold": 4, "replicas": max(scaling.least, scaling.most // 2)},
                "triggers": [scaling.by.trigger(region)],
            },
            opts=opts,
        )
        return
    k8s.autoscaling.v2.HorizontalPodAutoscaler(
        f"{name}-scaler",
        metadata=meta,
        spec={
            "scaleTargetRef": target,
            "minReplicas": scaling.least,
            "maxReplicas": scaling.most,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": _CPU_PERCENT}},
                }
            ],
            "behavior": behavior,
        },
        opts=opts,
    )
