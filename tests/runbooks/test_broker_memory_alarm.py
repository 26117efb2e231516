"""Who is paused, until when, and what they get back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.broker_memory_alarm import BrokerMemoryAlarm
from tests.runbooks.bench import TERMS, Bench
from tests.runbooks.faults.broker_memory_alarm import BETWEEN, CALM, SHORT, Memory

PAUSE, WIDEN = "pause Deployment payment-relay", "widen ScaledObject notification-consumer"
BEFORE = {"payment-relay": 2, "booking-relay": 3, "notification-consumer": 2}


@pytest.fixture
def bench(memory: Memory, tmp_path: Path) -> Bench:
    return Bench(BrokerMemoryAlarm(patience=0), memory.environment, tmp_path)


def told(bench: Bench, table: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = bench.engine().dry_run().findings[table]["rows"]
    return rows


def planned(bench: Bench) -> list[str]:
    return [each["id"] for each in bench.engine().dry_run().actions]


async def test_it_says_who_is_blocked(memory: Memory, bench: Bench) -> None:
    memory.fill(SHORT)
    url = memory.server.url("platform")
    async with await aio_pika.connect(url) as connection, connection.channel(publisher_confirms=False) as channel:
        await channel.default_exchange.publish(aio_pika.Message(b"{}"), routing_key="nobody")
        async with asyncio.timeout(15):
            while not sum(row["blocked"] for row in await asyncio.to_thread(told, bench, 2)):
                await asyncio.sleep(0.2)
        report = await asyncio.to_thread(bench.engine().verify)
        memory.fill(CALM)
    assert report.exit is Exit.FAILED
    assert "every node has memory and disk to spare, no publisher is blocked" in report.outcome


def test_bookings_relay_is_paused_only_when_that_is_asked_for(memory: Memory, bench: Bench) -> None:
    memory.fill(SHORT)
    assert planned(bench) == [PAUSE, WIDEN]
    with_booking = bench.given(pause_booking=True)
    assert planned(with_booking) == [PAUSE, "pause Deployment booking-relay", WIDEN]


def test_the_consumer_is_widened_no_further_than_its_most(memory: Memory, bench: Bench) -> None:
    memory.fill(SHORT)
    [*_, widened] = bench.given(consumers=50).engine().dry_run().actions
    assert widened["after"]["least"] == 8


def test_a_rollback_gives_everybody_what_they_had(memory: Memory, bench: Bench) -> None:
    memory.fill(SHORT)
    asked = bench.given(pause_booking=True)
    plan = asked.planned()
    asked.applied(plan)
    assert memory.workloads.least() == {"payment-relay": 0, "booking-relay": 0, "notification-consumer": 6}
    assert asked.engine().rollback(plan, TERMS).exit is Exit.DONE
    assert memory.workloads.least() == BEFORE
    assert memory.workloads.remembered("broker_memory_alarm") == {}


def test_when_memory_is_free_what_was_paused_gets_back_what_it_had(memory: Memory, bench: Bench) -> None:
    memory.fill(SHORT)
    bench.applied()
    memory.fill(BETWEEN)
    assert planned(bench) == [], "it would soon be short again"
    memory.fill(CALM)
    assert bench.engine().verify().outcome == "not all is well: what was changed is still needed"
    assert bench.applied().exit is Exit.DONE
    assert memory.workloads.least() == BEFORE
    assert planned(bench) == []


def test_with_enough_memory_nobody_is_paused(memory: Memory, bench: Bench) -> None:
    memory.fill(CALM)
    assert planned(bench) == []
    # Somebody's own decision is not undone.
    memory.workloads.scale("payment-relay", 0)
    assert planned(bench) == []


@pytest.mark.parametrize("below", [0.8, 0.9])
def test_it_resumes_well_below_where_it_pauses_or_it_would_go_to_and_fro(bench: Bench, below: float) -> None:
    with pytest.raises(kit.Refused, match="must be resumed well below"):
        bench.given(below=below).planned()


def test_a_namespace_without_the_relays_is_refused(memory: Memory, bench: Bench) -> None:
    memory.environment.write(namespace="default")
    with pytest.raises(kit.Refused, match="namespace default has no Deployment payment-relay, booking-relay"):
        bench.planned()
