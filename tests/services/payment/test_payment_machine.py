"""Whatever is asked, repeated, lost, told late or interrupted, and in whatever order: the money adds up.

The real handlers on PostgreSQL and the real SDK on the local Stripe; every example is one order of its own.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg
import stripe
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from services.common import database
from services.common.saga_worker import Parked, Retry
from services.contracts import Command
from services.payment import bootstrap, following
from services.payment.adapters.reconciling import ledger_differs
from services.payment.adapters.stripe import StripeProcessor
from services.payment.adapters.transactions import transactions
from services.payment.domain import Status
from services.payment.ports import Unknown
from tests.services.conftest import call
from tests.services.payment.support import CHALLENGED, ask, carry_out
from tests.support.databases import Databases

T = TypeVar("T")
METHODS = ["pm_card_visa", "pm_card_visa", CHALLENGED, "pm_card_visa_chargeDeclined"]
COMMANDS = [Command.AUTHORISE, Command.CAPTURE, Command.CANCEL_PAYMENT, Command.REFUND]
KINDS = [(), ("charge.refunded",), ("charge.dispute.created",)]


class Machine(RuleBasedStateMachine):
    """One order, its payment, and everybody who may do something about it."""

    provider: str
    runner: asyncio.Runner
    pool: asyncpg.Pool
    processor: StripeProcessor

    @initialize(method=st.sampled_from(METHODS), steps=st.sampled_from([3, 2, 0]))
    def begin(self, method: str, steps: int) -> None:
        # Most orders begin paid or refunded: by chance alone few would come so far.
        self.order, self.method, self.tombstone = str(uuid.uuid4()), "pm_card_visa" if steps else method, False
        for command in (Command.AUTHORISE, Command.CAPTURE, Command.REFUND)[:steps]:
            self.command(command, 1)

    @rule(command=st.sampled_from(COMMANDS), times=st.integers(1, 2))
    def command(self, command: Command, times: int) -> None:
        async def deliver() -> None:
            try:
                await carry_out(self.pool, self.processor, command, self.order, method=self.method, fee=333)
            except (Retry, Parked):
                return  # nothing is decided: the message comes back

        async def together() -> None:
            await asyncio.gather(*(deliver() for _ in range(times)))

        self.wait(together())

    @rule(mode=st.sampled_from(["drop-after", "drop-before", "error-500"]), count=st.integers(1, 5))
    def lose_answers(self, mode: str, count: int) -> None:
        call(f"{self.provider}/_local/faults", {"mode": mode, "operation": "", "count": count})

    @rule()
    def recover(self) -> None:
        call(f"{self.provider}/_local/faults", {"mode": "", "count": 0})

    @rule(amount=st.sampled_from([1, 700, 2_500, 5_000, 6_000]))
    def ask_for_a_refund(self, amount: int) -> None:
        self.wait(ask(self.pool, self.order, amount))

    @rule()
    def carry_out_refunds(self) -> None:
        self.wait(self.pool.execute("UPDATE refunds SET available_at = now()"))
        self.quietly(bootstrap.carry_out_refunds(self.pool, self.processor))

    @rule(kinds=st.sampled_from(KINDS))
    def webhook(self, kinds: tuple[str, ...]) -> None:
        for intent in self.intents():
            self.quietly(following.follow_intent(self.processor, transactions(self.pool), intent["id"], kinds))

    @rule(outcome=st.sampled_from(["succeeded", "failed"]))
    def authenticate(self, outcome: str) -> None:
        self.happen("authenticate", "requires_action", outcome=outcome)

    @rule(status=st.sampled_from(["needs_response", "warning_needs_response"]))
    def dispute(self, status: str) -> None:
        if not self.objects("disputes") and not self.objects("refunds"):
            self.happen("dispute", "succeeded", status=status)

    @rule(status=st.sampled_from(["won", "lost"]))
    def settle_the_dispute(self, status: str) -> None:
        for dispute in self.objects("disputes"):
            if dispute["status"] == "needs_response":
                call(f"{self.provider}/_local/end-dispute/{dispute['id']}", {"status": status})

    @rule()
    def fail_a_refund(self) -> None:
        for refund in self.objects("refunds")[:1]:
            call(f"{self.provider}/_local/end-refund/{refund['id']}", {"status": "failed"})

    @rule()
    def refund_in_the_providers_own_pages(self) -> None:
        for intent in self.intents():
            if intent["status"] == "succeeded" and not self.objects("disputes"):
                try:
                    self.account().v1.refunds.create({"payment_intent": intent["id"], "amount": 100})
                except stripe.StripeError:
                    return  # nothing is left, or the call was lost

    @invariant()
    def there_is_one_charge_at_most(self) -> None:
        if hasattr(self, "order"):
            assert len(self.intents()) <= 1

    @invariant()
    def a_tombstone_is_never_captured(self) -> None:
        if hasattr(self, "order"):
            state = self.wait(self.pool.fetchval("SELECT status FROM payments WHERE order_id = $1", self.key()))
            assert not (self.tombstone and state in (Status.CAPTURED, Status.REFUNDED))
            self.tombstone = self.tombstone or state == Status.CANCELLED
            if self.tombstone:
                assert [i["amount_received"] for i in self.intents()] in ([], [0])

    @invariant()
    def no_more_goes_back_than_came(self) -> None:
        if hasattr(self, "order"):
            taken = sum(i["amount_received"] for i in self.intents())
            assert sum(r["amount"] for r in self.objects("refunds") if r["status"] == "succeeded") <= taken
            succeeded = self.pool.fetchval(
                "SELECT coalesce(sum(amount), 0) FROM refunds WHERE order_id = $1 AND status = 'succeeded'", self.key()
            )
            assert self.wait(succeeded) <= taken

    @invariant()
    def the_ledger_is_what_the_rows_say(self) -> None:
        if hasattr(self, "order"):
            assert self.wait(ledger_differs(self.pool)) == []

    def teardown(self) -> None:
        """Once all is quiet and every webhook has come, both books agree."""
        if not hasattr(self, "order"):
            return
        self.recover()
        for _ in range(2):
            self.webhook(("charge.refunded", "charge.dispute.closed"))
            self.carry_out_refunds()
        theirs = sum(i["amount_received"] for i in self.intents())
        back = sum(r["amount"] for r in self.objects("refunds") if r["status"] == "succeeded")
        held = sum(d["amount"] for d in self.objects("disputes") if d["status"] in ("needs_response", "lost"))
        cleared = self.wait(
            self.pool.fetchval(
                """SELECT coalesce(sum(amount), 0) FROM ledger_entries e
                   JOIN ledger_transactions t ON t.id = e.transaction_id
                   WHERE t.order_id = $1 AND account = 'processor_clearing'""",
                self.key(),
            )
        )
        assert cleared == theirs - back - held

    def key(self) -> uuid.UUID:
        return uuid.UUID(self.order)

    def account(self) -> stripe.StripeClient:
        return stripe.StripeClient("sk_test_local", base_addresses={"api": self.provider})

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        async def run() -> T:
            return await work

        return self.runner.run(run())

    def quietly(self, work: Coroutine[Any, Any, object]) -> None:
        try:
            self.wait(work)
        except Unknown:
            return

    def intents(self) -> list[dict[str, Any]]:
        state: Any = call(f"{self.provider}/_local/order/{self.order}")
        return list(state["intents"])

    def objects(self, kind: str) -> list[dict[str, Any]]:
        state: Any = call(f"{self.provider}/_local/order/{self.order}")
        return list(state[kind])

    def happen(self, what: str, when: str, **terms: str) -> None:
        for intent in self.intents():
            if intent["status"] == when:
                call(f"{self.provider}/_local/{what}/{intent['id']}", terms)


async def test_the_money_of_an_order_adds_up(databases: Databases, stripe_server: str) -> None:
    url = await databases.create("payment")
    await asyncio.to_thread(_explore, url, stripe_server)


def _explore(url: str, stripe_server: str) -> None:
    with asyncio.Runner() as runner:
        pooled = database.pool(url, size=4)
        Machine.runner, Machine.pool = runner, runner.run(pooled.__aenter__())
        Machine.provider = stripe_server
        Machine.processor = StripeProcessor("sk_test_local", stripe_server, timeout=2, pause=0.01)
        try:
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=20,
                    stateful_step_count=16,
                    deadline=None,
                    phases=[Phase.explicit, Phase.generate, Phase.shrink],
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            call(f"{stripe_server}/_local/faults", {"mode": "", "count": 0})
            runner.run(pooled.__aexit__(None, None, None))
