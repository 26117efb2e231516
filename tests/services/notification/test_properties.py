"""Whatever is duplicated, crashes, or runs side by side: each delivery is triggered, or given up in the open; never
under two transaction ids; the more important first.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any, TypeVar

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.common import database
from services.notification.adapters.queue import PostgresQueue
from services.notification.adapters.store import PostgresStore
from services.notification.domain import Delivery, Report, Status
from services.notification.ports import Leased, Message
from services.notification.workflows import WORKFLOWS, marketing, orders, payments, tickets
from services.notification.workflows.model import Channel
from tests.services.notification.conftest import all_due, make_sender
from tests.support.databases import Databases

T = TypeVar("T")
SENDERS = st.sampled_from(["first", "second"])
KINDS = st.sampled_from([tickets.COMPLETED, orders.CANCELLED, payments.DISPUTED, marketing.DIGEST])
DONE = {Status.SENT, Status.DELIVERED, Status.FAILED, Status.SUPPRESSED, Status.DEAD}
# A marketing message that nobody opted in to, so that some are suppressed.
UNWANTED = marketing.DIGEST.name


class Novu:
    """Takes each transaction id once, and remembers all that it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[Mapping[str, str]]]] = []

    def take(self, transaction: str, payloads: list[Mapping[str, str]]) -> None:
        self.asked.append((transaction, payloads))

    async def trigger(self, message: Message) -> None:
        self.take(message.transaction_id, [])


class Deliveries(RuleBasedStateMachine):
    """Two senders, step by step, on the real queue; time passes when it is told to."""

    pool: asyncpg.Pool
    runner: asyncio.Runner

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize()
    def nothing(self) -> None:
        self.run(self.pool.execute("DELETE FROM reports"))
        self.run(self.pool.execute("DELETE FROM deliveries"))
        self.store, self.queue, self.novu = PostgresStore(self.pool), PostgresQueue(self.pool), Novu()
        self.held: dict[str, list[Leased]] = {"first": [], "second": []}
        self.wanted: set[str] = set()
        self.holder: dict[str, uuid.UUID] = {}

    @rule(kind=KINDS, subject=st.integers(1, 4), subscriber=st.integers(1, 2), twice=st.booleans())
    def queued(self, kind: Any, subject: int, subscriber: int, twice: bool) -> None:
        made = Delivery(kind, f"s{subscriber}", f"{subscriber}-{subject}", dict.fromkeys(kind.needs, str(subject)))
        self.wanted.add(made.transaction_id)
        self.run(self.store.queue([made, made] if twice else [made]))

    @rule(sender=SENDERS, limit=st.integers(1, 3))
    def leases(self, sender: str, limit: int) -> None:
        leased = self.run(self.queue.lease(limit))
        self.held[sender] += leased
        self.holder |= {each.transaction_id: each.token for each in leased}
        left = self.run(
            self.pool.fetchval(
                """SELECT min(priority) FROM deliveries
                   WHERE status = 'pending' AND digest_id IS NULL AND due_at <= now()"""
            )
        )
        mine = [WORKFLOWS[each.workflow].category.priority for each in leased]
        assert mine == sorted(mine)
        assert left is None or not mine or max(mine) <= left, "the less important went first"

    def changes(self, leased: Leased, work: Coroutine[Any, Any, bool]) -> None:
        """Who holds the newest lease of a delivery may change it, once; nobody else may."""
        mine = self.holder.get(leased.transaction_id) == leased.token
        assert self.run(work) == mine
        if mine:
            del self.holder[leased.transaction_id]

    @precondition(lambda self: any(self.held.values()))
    @rule(sender=SENDERS, marked=st.booleans())
    def triggers(self, sender: str, marked: bool) -> None:
        """And crashes before the mark, unless it is ``marked``."""
        if self.held[sender]:
            leased = self.held[sender].pop(0)
            self.novu.take(leased.transaction_id, list(leased.payloads))
            if marked:
                self.changes(leased, self.queue.sent(leased, [Channel.EMAIL]))

    @precondition(lambda self: any(self.held.values()))
    @rule(sender=SENDERS, tried=st.booleans())
    def gives_back(self, sender: str, tried: bool) -> None:
        """After an attempt that failed (whose answer may just be lost), or without one."""
        if self.held[sender]:
            leased = self.held[sender].pop(0)
            if tried:
                self.novu.take(leased.transaction_id, list(leased.payloads))
            self.changes(leased, self.queue.later(leased, 0.0, "test", tried=tried))

    @precondition(lambda self: any(self.held.values()))
    @rule(sender=SENDERS)
    def gives_up(self, sender: str) -> None:
        if self.held[sender]:
            leased = self.held[sender].pop(0)
            self.changes(leased, self.queue.close(leased, Status.DEAD, "test"))

    @rule(sender=SENDERS)
    def crashes(self, sender: str) -> None:
        self.held[sender] = []

    @rule()
    def time_passes(self) -> None:
        self.run(all_due(self.pool))

    @precondition(lambda self: self.novu.asked)
    @rule(data=st.data(), channel=st.sampled_from([Channel.EMAIL, Channel.PUSH]), said=st.sampled_from(list(Report)))
    def reports(self, data: st.DataObject, channel: Channel, said: Report) -> None:
        transaction, _ = data.draw(st.sampled_from(self.novu.asked))
        self.run(self.store.report(str(uuid.uuid4()), transaction, channel, said))

    @precondition(lambda self: self.wanted)
    @rule(data=st.data())
    def puts_back(self, data: st.DataObject) -> None:
        self.run(self.store.requeue(data.draw(st.sampled_from(sorted(self.wanted)))))

    @invariant()
    def a_digest_is_of_one_mind(self) -> None:
        torn = self.run(
            self.pool.fetch(
                """SELECT m.transaction_id, m.status, l.status AS leads FROM deliveries m
                   JOIN deliveries l ON l.transaction_id = m.digest_id
                   WHERE m.status <> l.status AND NOT (m.status = 'pending' AND l.status = 'sending')"""
            )
        )
        assert not torn

    def teardown(self) -> None:
        if not hasattr(self, "wanted"):
            return
        sender = make_sender(self.pool, self.novu)
        self.run(all_due(self.pool))
        while self.run(sender.pass_once()):
            pass
        rows = self.run(self.pool.fetch("SELECT transaction_id, workflow, digest_id, status FROM deliveries"))
        assert {row["transaction_id"] for row in rows} == self.wanted, "one row for each, and none is lost"
        asked = {transaction for transaction, _ in self.novu.asked}
        for row in rows:
            status = Status(row["status"])
            assert status in DONE
            if status in (Status.SENT, Status.DELIVERED, Status.FAILED):
                assert (row["digest_id"] or row["transaction_id"]) in asked, "marked as sent, and was not"
            if status is Status.SUPPRESSED:
                assert row["workflow"] == UNWANTED
            assert row["digest_id"] is None or row["transaction_id"] not in asked, "told alone and in a digest"
        said: dict[str, list[Mapping[str, str]]] = {}
        for transaction, payloads in self.novu.asked:
            if payloads:
                assert said.setdefault(transaction, payloads) == payloads, "one transaction id said two things"


@pytest.fixture
def pool(databases: Databases) -> Iterator[tuple[asyncpg.Pool, asyncio.Runner]]:
    with asyncio.Runner() as runner:
        manager = database.pool(runner.run(databases.create("notification")), size=4)
        yield runner.run(manager.__aenter__()), runner
        runner.run(manager.__aexit__(None, None, None))


def test_no_delivery_is_lost_torn_or_told_twice(pool: tuple[asyncpg.Pool, asyncio.Runner]) -> None:
    machine = type("Machine", (Deliveries,), {"pool": pool[0], "runner": pool[1]})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
