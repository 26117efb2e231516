"""A broker with a topology of ours on it: what the job of a deployment does, on a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from pydantic import SecretStr

from components.broker_topology import VHOST, Subscription, definitions
from scripts.local.servers.rabbitmq import ADMIN, RabbitMQ
from services.common import topology

PASSWORD = "of-a-service"
Broker = Callable[[Sequence[str], Sequence[Subscription]], Callable[[str], str]]


def set_up(server: RabbitMQ) -> Broker:
    """Applies topologies to ``server``; each answers with the URLs of its users (``admin`` may do everything)."""

    def apply(publishers: Sequence[str], subscriptions: Sequence[Subscription]) -> Callable[[str], str]:
        document = definitions(publishers, subscriptions)
        users = {
            permission["user"]: {"username": permission["user"], "password": PASSWORD}
            for permission in document["permissions"]
        }
        settings = topology.TopologySettings(
            broker_management_url=server.management_url,
            broker_administrator=ADMIN,
            broker_password=SecretStr(server.password),
            broker_topology=json.dumps(document),
            broker_users=SecretStr(json.dumps(users)),
        )
        topology.apply(settings)

        def url(user: str) -> str:
            name, password = (ADMIN, server.password) if user == "admin" else (user, PASSWORD)
            return f"amqps://{name}:{password}@{server.host}:{server.port}/{VHOST}"

        return url

    return apply
