"""A real broker that is short of memory, and Deployments of those that publish and consume."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runbooks._kit.management import Management
from runbooks._kit.target import until
from runbooks.broker_memory_alarm import BrokerMemoryAlarm
from scripts.local.servers import binaries
from scripts.local.servers.rabbitmq import RabbitMQ
from tests.runbooks.bench import Bench
from tests.runbooks.clusters import Workloads, once
from tests.runbooks.environment import Environment
from tests.runbooks.faults import Fault
from tests.services.broker import Broker

# What the node does by itself every few seconds: measure, raise or clear the alarm, and tell the management API.
_LIMIT = """
Used = vm_memory_monitor:get_process_memory(),
ok = vm_memory_monitor:set_vm_memory_high_watermark({absolute, trunc(Used / %f)}),
rabbit_mgmt_external_stats ! emit_update,
sys:get_state(rabbit_mgmt_external_stats),
[Name ! collect_metrics || Name <- registered(), lists:suffix("_metrics_collector", atom_to_list(Name))].
"""
SHORT, BETWEEN, CALM = 1.5, 0.65, 0.2


@dataclass(frozen=True)
class Memory:
    """A broker of which a test says how full it is, and the environment's Deployments."""

    environment: Environment
    workloads: Workloads
    server: RabbitMQ

    def fill(self, share: float) -> None:
        """Set the node's limit so that what it uses is ``share`` of it; the management API has heard of it then."""
        control = binaries.find("rabbitmq-server").with_name("rabbitmqctl")
        command = [str(control), "eval", _LIMIT % share]
        subprocess.run(command, env={**os.environ, **self.server.server.env}, check=True, capture_output=True)
        assert until(lambda: self._near(share), seconds=10, every=0.1)

    def _near(self, share: float) -> bool:
        with Management.connected(self.environment.target()) as broker:
            [node] = broker.nodes()
        # A node that started this moment does not say.
        used, limit, alarm = (node.get(fact, 0) for fact in ("mem_used", "mem_limit", "mem_alarm"))
        return bool(limit) and abs(used / limit - share) < 0.15 and alarm == (share > 1)

    def relieved(self) -> bool:
        """Whether less comes in and more goes out."""
        least = self.workloads.least()
        return least["payment-relay"] == 0 and least["notification-consumer"] == 6


@pytest.fixture
def memory(
    environment: Environment, workloads: Workloads, broker: Broker, rabbitmq_server: RabbitMQ
) -> Iterator[Memory]:
    environment.broker(rabbitmq_server.management_url, broker((), ())("admin"))
    workloads.deployment("payment-relay", 2)
    workloads.deployment("booking-relay", 3)
    workloads.scaled_object("notification-consumer", 2, 8)
    made = Memory(environment, workloads, rabbitmq_server)
    yield made
    made.fill(CALM)


@pytest.fixture
def broker_memory_alarm(environment: Environment, memory: Memory, tmp_path: Path) -> Iterator[Fault]:
    memory.fill(SHORT)
    # Memory comes free when the queues are drained.
    with once(memory.relieved, lambda: memory.fill(BETWEEN)):
        yield Fault(
            Bench(BrokerMemoryAlarm(patience=20), environment, tmp_path),
            state=memory.workloads.sizes,
            mended=memory.relieved,
            secrets=(memory.server.password,),
        )
