"""The alarms of a broker: it is about to block publishers, messages pile up, or could not be worked on."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components.alarm import alarm
from components.broker_topology import VHOST, dead
from components.context import Context
from components.severity import Severity

# RabbitMQ blocks publishers at this share of the memory (its default vm_memory_high_watermark); we hear of it earlier.
_WATERMARK, _WARN_AT = 0.4, 0.8
_GIB = 1024**3
_NAMESPACE = "AWS/AmazonMQ"


def make(
    name: str,
    broker: pulumi.Input[str],
    *,
    queues: Sequence[str],
    memory_gib: float,
    context: Context,
    opts: pulumi.ResourceOptions,
) -> None:
    """The alarms of ``broker`` and of the dead-letter queues of ``queues`` (Amazon MQ Developer Guide, "Metrics")."""
    page, ticket = Severity.PAGE, Severity.TICKET
    memory = memory_gib * _GIB * _WATERMARK * _WARN_AT
    for role, says, runbook, metric, severity, above, below in (
        (
            "memory",
            "The broker is close to blocking publishers.",
            "broker_memory_alarm",
            "RabbitMQMemUsed",
            page,
            memory,
            None,
        ),
        (
            "disk",
            "The broker is close to its free-disk limit, at which it blocks publishers.",
            "broker_memory_alarm",
            "RabbitMQDiskFree",
            page,
            None,
            5 * _GIB,
        ),
        (
            "backlog",
            "Messages pile up: consumers are slow or gone.",
            "notification_backlog",
            "MessageReadyCount",
            ticket,
            10_000,
            None,
        ),
        (
            "unacknowledged",
            "Consumers take messages and do not finish them.",
            "notification_backlog",
            "MessageUnacknowledgedCount",
            ticket,
            1_000,
            None,
        ),
        ("consumers", "Nobody takes messages.", "notification_backlog", "ConsumerCount", page, None, 1),
    ):
        alarm(
            f"{name}-{role}",
            context=context,
            says=says,
            runbook=runbook,
            namespace=_NAMESPACE,
            metric=metric,
            dimensions={"Broker": broker},
            above=above,
            below=below,
            severity=severity,
            opts=opts,
        )
    for queue in queues:
        alarm(
            f"{name}-{queue.replace('.', '-')}-dead",
            context=context,
            says=f"An event of {queue} could not be worked on.",
            runbook="dead_letter_redrive",
            namespace=_NAMESPACE,
            metric="MessageReadyCount",
            dimensions={"Broker": broker, "VirtualHost": VHOST, "Queue": dead(queue)},
            above=0,
            periods=1,
            severity=ticket,
            opts=opts,
        )
