"""Random lives of a pool: whatever happens in whatever order, capacity, seats, vouchers and tickets add up.

The real statements on a real PostgreSQL; time passes by moving expiries into the past.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any, TypeVar

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from services.booking import bootstrap
from services.booking.adapters import allocator, store, sweeper, waiting_list
from services.booking.adapters import tickets as adapter
from services.booking.adapters.allocator import Allocator
from services.booking.adapters.audit import inconsistent
from services.booking.adapters.store import PostgresStore
from services.booking.adapters.sweeper import sweep
from services.booking.adapters.tickets import PostgresRefunds
from services.booking.domain.holds import HoldUnusable, Refused
from services.booking.domain.refunds import NotRefundable
from services.booking.handlers import orders, refunds
from services.booking.ticket_codes import Signer
from services.common import database
from services.common.outbox import Outbox
from services.contracts import Command, Event
from tests.services.booking.test_after_sale import said
from tests.services.booking.test_commands import carry_out
from tests.services.fuzzing import a_database
from tests.services.samples import on_sale, wish
from tests.support.databases import Originals

T = TypeVar("T")
CAPACITY, LIMIT = 5, 3
BUYERS = st.sampled_from(["ann", "bob", "cid"])
ANSWERS = st.sampled_from([Event.PAYMENT_REFUNDED, Event.PAYMENT_REFUND_FAILED])
FORWARD = (Command.CONFIRM_SEATS, Command.ISSUE_TICKETS)
BACKWARD = (Command.RELEASE, Command.CANCEL_ORDER)


class Pool(RuleBasedStateMachine):
    """Buyers, the saga, the sweeper, the waiting list and refunds at one pool of five places."""

    runner: asyncio.Runner
    pool: asyncpg.Pool
    signer: Signer

    holds: Bundle[tuple[uuid.UUID, str]] = Bundle("holds")
    placed: Bundle[uuid.UUID] = Bundle("placed")
    completed: Bundle[uuid.UUID] = Bundle("completed")
    asked: Bundle[dict[str, Any]] = Bundle("asked")

    def __init__(self) -> None:
        super().__init__()
        self.ticket_type = self.do(on_sale(self.pool, CAPACITY, max_per_buyer=LIMIT))

    def do(self, work: Awaitable[T]) -> T:
        async def waited() -> T:
            return await work

        return self.runner.run(waited())

    async def transaction(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        async with self.pool.acquire() as connection, connection.transaction():
            return await work(connection)

    @rule(target=holds, buyer=BUYERS, quantity=st.integers(1, 3))
    def take(self, buyer: str, quantity: int) -> Any:
        request = wish(self.ticket_type, buyer, key=str(uuid.uuid4()), quantity=quantity)
        try:
            self.do(Allocator(self.pool).take(request))
        except Refused:
            return multiple()
        return request.id, buyer

    @rule(target=placed, hold=holds)
    def check_out(self, hold: tuple[uuid.UUID, str]) -> Any:
        async def work(connection: asyncpg.Connection) -> uuid.UUID:
            order = await orders.checkout(
                PostgresStore(connection),
                Outbox(connection),
                hold_id=hold[0],
                buyer_id=hold[1],
                payment_method="pm_card_visa",
            )
            return order.id

        try:
            return self.do(self.transaction(work))
        except HoldUnusable:
            return multiple()

    @rule(target=completed, hold=consumes(holds))
    def buy(self, hold: tuple[uuid.UUID, str]) -> Any:
        """As most orders go: without it few of them would ever be completed here."""
        order = self.check_out(hold)
        if isinstance(order, uuid.UUID):
            for command in FORWARD:
                self.command(order, command)
        return order

    @rule(order=placed | completed, command=st.sampled_from([*FORWARD, *BACKWARD, Command.NEEDS_OPERATOR]))
    def command(self, order: uuid.UUID, command: Command) -> None:
        self.do(carry_out(self.pool, self.signer, command, order))

    @rule(hold=consumes(holds))
    def compensate(self, hold: tuple[uuid.UUID, str]) -> None:
        """The seats were sold, and then the capture failed."""
        order = self.check_out(hold)
        if isinstance(order, uuid.UUID):
            for command in (Command.CONFIRM_SEATS, *BACKWARD):
                self.command(order, command)

    @rule(target=asked, order=completed, count=st.integers(1, 2), kind=ANSWERS | st.none())
    def give_back(self, order: uuid.UUID, count: int, kind: Event | None) -> Any:
        async def work(connection: asyncpg.Connection) -> dict[str, Any]:
            rows = await connection.fetch(
                "SELECT id FROM tickets WHERE order_id = $1 AND status = 'valid' LIMIT $2", order, count
            )
            refund = await refunds.request_refund(
                PostgresRefunds(connection),
                Outbox(connection),
                order_id=order,
                ticket_ids=[row["id"] for row in rows],
                requested_by="organiser",
                anytime=True,
            )
            return {"id": str(refund.id), "amount": refund.amount}

        try:
            refund = self.do(self.transaction(work))
        except NotRefundable:
            return multiple()
        if kind is not None:
            self.payment_answers(refund, kind)
        return refund

    @rule(refund=asked, kind=ANSWERS)
    def payment_answers(self, refund: dict[str, Any], kind: Event) -> None:
        self.do(bootstrap.on_event(self.pool, said(kind, refund)))

    @rule(buyer=BUYERS, quantity=st.integers(1, 3))
    def wait(self, buyer: str, quantity: int) -> None:
        try:
            self.do(
                self.transaction(lambda connection: waiting_list.join(connection, self.ticket_type, buyer, quantity))
            )
        except waiting_list.NothingToWaitFor:
            return

    @rule()
    def offer(self) -> None:
        self.do(waiting_list.offer(self.pool))

    @rule()
    def time_passes(self) -> None:
        self.do(self.pool.execute("UPDATE holds SET expires_at = now() - interval '1 second' WHERE status = 'active'"))
        self.do(sweep(self.pool))

    @invariant()
    def adds_up(self) -> None:
        self.nothing_is_oversold()
        self.live_tickets_are_worth_what_is_not_refunded()
        self.a_cancelled_order_opens_no_door()
        self.places_sold_have_their_tickets()

    def nothing_is_oversold(self) -> None:
        mine = self.do(self.pool.fetchval("SELECT pool_id FROM ticket_types WHERE id = $1", self.ticket_type))
        assert [wrong for wrong in self.do(inconsistent(self.pool)) if wrong["id"] == mine] == []

    def live_tickets_are_worth_what_is_not_refunded(self) -> None:
        wrong = self.do(
            self.pool.fetch(
                """SELECT o.id FROM orders o
                   WHERE o.ticket_type_id = $1 AND o.status IN ('completed', 'refunded') AND o.amount
                     - (SELECT coalesce(sum(amount), 0) FROM refunds WHERE order_id = o.id AND status = 'succeeded')
                     <> (SELECT coalesce(sum(value), 0) FROM tickets WHERE order_id = o.id AND status <> 'void')""",
                self.ticket_type,
            )
        )
        assert wrong == []

    def a_cancelled_order_opens_no_door(self) -> None:
        wrong = self.do(
            self.pool.fetch(
                """SELECT o.id FROM orders o JOIN tickets t ON t.order_id = o.id AND t.status = 'valid'
                   WHERE o.ticket_type_id = $1 AND o.status = 'cancelled'""",
                self.ticket_type,
            )
        )
        assert wrong == []

    def places_sold_have_their_tickets(self) -> None:
        wrong = self.do(
            self.pool.fetch(
                """SELECT o.id FROM orders o JOIN holds h ON h.id = o.hold_id AND h.status = 'confirmed'
                   WHERE o.ticket_type_id = $1 AND o.status = 'completed' AND h.quantity <>
                     (SELECT count(*) FROM tickets WHERE order_id = o.id AND status <> 'void')""",
                self.ticket_type,
            )
        )
        assert wrong == []


@pytest.fixture
def machine(databases_url: str, signer: Signer) -> Iterator[type[Pool]]:
    with asyncio.Runner() as runner:
        context = database.pool(databases_url)
        Pool.runner, Pool.signer = runner, signer
        Pool.pool = runner.run(context.__aenter__())
        yield Pool
        runner.run(context.__aexit__(None, None, None))


@pytest.fixture
def databases_url(originals: Originals) -> Iterator[str]:
    with a_database(originals, "booking") as url:
        yield url


def known_life(life: Pool) -> None:
    """A life in which every guard has its part: chance would find the fault of a missing one too late."""
    held = life.take("ann", 2)
    life.adds_up()
    life.time_passes()
    life.adds_up()
    order = life.buy(life.take("ann", 2))
    for count, kind in ((1, Event.PAYMENT_REFUND_FAILED), (1, Event.PAYMENT_REFUNDED)):
        life.give_back(order, count, kind)
        life.adds_up()
    life.command(order, Command.CANCEL_ORDER)
    life.adds_up()
    life.check_out(held)
    held = life.take("bob", 1)
    for _ in range(2):
        life.check_out(held)
        life.adds_up()
    life.compensate(life.take("cid", 2))
    life.adds_up()


LONG = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)


def test_whatever_happens_to_a_pool_adds_up(machine: type[Pool]) -> None:
    run_state_machine_as_test(machine, settings=LONG)


@pytest.mark.parametrize(
    ("module", "statement", "guard"),
    [
        (sweeper, "SWEEP", "SET held = held - sums.quantity"),
        (store, "RELEASE", "ELSE 0 END,\n        sold = sold - CASE moved.status WHEN 'confirmed' THEN moved.quantity"),
        (store, "CONFIRM", "sold = sold + moved.quantity"),
        (store, "MOVE", "AND status = ANY($2)"),
        (store, "BIND", "AND order_id IS NULL"),
        (adapter, "GIVE_BACK", "SET status = 'void'"),
        (adapter, "GIVE_BACK", "SET sold = sold - shrunk.quantity"),
        (allocator, "TAKE", "SET held = held + $2"),
    ],
)
def test_without_any_one_of_its_guards_something_does_not_add_up(
    machine: type[Pool], monkeypatch: pytest.MonkeyPatch, module: ModuleType, statement: str, guard: str
) -> None:
    sound = getattr(module, statement)
    assert guard in sound
    monkeypatch.setattr(module, statement, sound.replace(guard, BROKEN.get(guard, "SET name = name")))
    if (module, statement) == (allocator, "TAKE"):
        monkeypatch.setattr(waiting_list, "TAKE", allocator.TAKE)
    with pytest.raises((AssertionError, asyncpg.PostgresError)):
        known_life(machine())


def test_a_known_life_adds_up(machine: type[Pool]) -> None:
    known_life(machine())


# What stands where the guard stood; elsewhere nothing is changed at all.
BROKEN = {
    "ELSE 0 END,\n        sold = sold - CASE moved.status WHEN 'confirmed' THEN moved.quantity": "ELSE moved.quantity",
    "sold = sold + moved.quantity": "sold = sold",
    "AND status = ANY($2)": "AND $2::text[] IS NOT NULL",
    "AND order_id IS NULL": "",
    "SET status = 'void'": "SET status = status",
}
