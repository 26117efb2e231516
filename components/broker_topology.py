"""What is inside the broker, as code: virtual host, users, exchange, queues, bindings and policies.

Services neither make nor change any of it: each may write where it publishes and read where it consumes, nothing else.
Every queue is a quorum queue with a delivery limit, a dead-letter queue, and a bound on length and age. Limits are
policies, so that they change without a new queue. A job applies the document through the management API, safe to
repeat; what the document does not name is left alone, because a queue may hold messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

VHOST, EVENTS, DEAD_LETTERS = "platform", "platform.events", "platform.dead-letters"
# Deliveries before a message is dead.
DELIVERY_LIMIT = 5
# A letter that somebody reads and gives back counts as delivered, and RabbitMQ 4 drops it after 20 unless told
# otherwise (rabbitmq.com, "Quorum Queues", "Poison Message Handling").
_READINGS = 1_000_000
# Milliseconds: events older than a week are of no use to anybody; dead letters wait for a person for two.
_EVENT_TTL, _DEAD_TTL = 7 * 24 * 3600 * 1000, 14 * 24 * 3600 * 1000
# Messages: a quorum queue keeps its index in memory, about 100 bytes each (rabbitmq.com, "Quorum Queues").
_MAX_LENGTH = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A queue of ``service`` and the topics that it hears of."""

    service: str
    queue: str
    topics: Sequence[str]

    def __post_init__(self) -> None:
        if not self.topics:
            raise ValueError(f"queue {self.queue!r} of {self.service} has no topics; it would never get a message")


def definitions(publishers: Sequence[str], subscriptions: Sequence[Subscription], host: str = VHOST) -> dict[str, Any]:
    """The document, in the form of RabbitMQ's own definitions, without users: their passwords are secrets.

    All of it is in the virtual host called ``host``. Raises ValueError when two subscriptions name one queue.
    """
    queues = [subscription.queue for subscription in subscriptions]
    if twice := sorted({queue for queue in queues if queues.count(queue) > 1}):
        raise ValueError(f"queues {', '.join(twice)} belong to two subscriptions; each consumer has a queue of its own")
    return {
        "vhosts": [{"name": host, "default_queue_type": "quorum"}],
        "exchanges": [_exchange(host, EVENTS, "topic"), _exchange(host, DEAD_LETTERS, "direct")],
        "queues": [_queue(host, name) for queue in queues for name in (queue, dead(queue))],
        "bindings": [
            *(_binding(host, EVENTS, each.queue, topic) for each in subscriptions for topic in each.topics),
            *(_binding(host, DEAD_LETTERS, dead(queue), queue) for queue in queues),
        ],
        "policies": [policy for queue in queues for policy in _policies(host, queue)],
        "permissions": [
            {
                "user": service,
                "vhost": host,
                "configure": "^$",
                "write": f"^{re.escape(EVENTS)}$" if service in publishers else "^$",
                "read": _any_of(each.queue for each in subscriptions if each.service == service),
            }
            for service in sorted({*publishers, *(each.service for each in subscriptions)})
        ],
    }


def dead(queue: str) -> str:
    """The queue of what could not be worked on."""
    return f"{queue}.dead"


def _any_of(names: Any) -> str:
    return f"^({'|'.join(re.escape(name) for name in names)})$"


def _exchange(host: str, name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "vhost": host, "type": kind, "durable": True, "auto_delete": False, "arguments": {}}


def _queue(host: str, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "vhost": host,
        "durable": True,
        "auto_delete": False,
        "arguments": {"x-queue-type": "quorum"},
    }


def _binding(host: str, source: str, queue: str, key: str) -> dict[str, Any]:
    return {
        "source": source,
        "vhost": host,
        "destination": queue,
        "destination_type": "queue",
        "routing_key": key,
        "arguments": {},
    }


def _policies(host: str, queue: str) -> list[dict[str, Any]]:
    limits: Mapping[str, Mapping[str, Any]] = {
        queue: {
            "delivery-limit": DELIVERY_LIMIT,
            "dead-letter-exchange": DEAD_LETTERS,
            "dead-letter-routing-key": queue,
            # At least once needs the queue to refuse, not drop, what it cannot hold (rabbitmq.com, "Quorum Queues").
            "dead-letter-strategy": "at-least-once",
            "overflow": "reject-publish",
            "max-length": _MAX_LENGTH,
            "message-ttl": _EVENT_TTL,
        },
        dead(queue): {
            "delivery-limit": _READINGS,
            "max-length": _MAX_LENGTH,
            "overflow": "reject-publish",
            "message-ttl": _DEAD_TTL,
        },
    }
    return [
        {
            "name": name,
            "vhost": host,
            "pattern": f"^{re.escape(name)}$",
            "apply-to": "queues",
            "priority": 10,
            "definition": dict(definition),
        }
        for name, definition in limits.items()
    ]
