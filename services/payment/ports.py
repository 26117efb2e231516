"""What the use cases of payment need from outside."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from services.common.inbox import Outcome
from services.contracts import Event
from services.payment.domain import Dispute, Intent, Payment, Payout, ProviderRefund, Refund, RefundStatus, Status
from services.payment.ledger import Account, Posting


class Unknown(Exception):
    """The provider's answer was lost and could not be found out: money may have moved, or not."""


class Unavailable(Exception):
    """The provider was not asked, because it has not been answering: nothing has moved."""


class Missing(Exception):
    """The provider knows of no such object."""


class Processor(Protocol):
    """A payment provider. Each call may be repeated without a second effect; each may raise Unknown or Unavailable."""

    async def create(self, payment: Payment) -> Intent:
        """The intent of a payment, made if there is none yet; nothing is authorised by it."""

    async def confirm(self, payment: Payment, intent_id: str) -> Intent:
        """Authorise: AUTHORISED, ACTION_REQUIRED or DECLINED, or what it was already."""

    async def capture(self, payment: Payment, intent_id: str) -> Intent:
        """Take the money: CAPTURED, or why not."""

    async def cancel(self, payment: Payment, intent_id: str) -> Intent:
        """Give an authorisation up: CANCELLED, or CAPTURED when it is too late."""

    async def refund(self, refund: Refund, intent_id: str) -> ProviderRefund:
        """Give money back once: REQUESTED while the provider is at it, FAILED when it is refused."""

    async def fetch(self, intent_id: str) -> Intent:
        """The intent as it is now. Raises Missing when the provider knows of none."""

    async def refunds_of(self, intent_id: str) -> Sequence[ProviderRefund]:
        """Every refund of an intent, whoever asked for it."""

    async def disputes_of(self, intent_id: str) -> Sequence[Dispute]:
        """Every dispute of an intent."""

    async def payout(self, payout_id: str) -> Payout:
        """A transfer to an organiser or a payout to the bank, as it is now."""

    def intents(self, since: datetime, until: datetime) -> AsyncIterator[Intent]:
        """The intents that were made from ``since`` to before ``until``."""

    def refunds(self, since: datetime, until: datetime) -> AsyncIterator[ProviderRefund]:
        """The refunds that were made from ``since`` to before ``until``."""

    async def undelivered(self, since: datetime) -> Sequence[str]:
        """The ids of events since then that the provider could not deliver to us, the newest hundred."""


class Store(Protocol):
    """Payments, within one transaction. Every change is a compare-and-set."""

    async def start(self, payment: Payment) -> Payment:
        """Write a payment unless there is one of that order and attempt; returns the one that stands.

        That of a buyer who was erased is cancelled from the beginning, and does not name him.
        """

    async def payment(self, order_id: uuid.UUID, attempt: int) -> Payment | None:
        """A payment."""

    async def lock(self, order_id: uuid.UUID, attempt: int) -> Payment | None:
        """A payment that nobody else changes, nor refunds, until the transaction ends."""

    async def paid(self, order_id: uuid.UUID) -> Payment | None:
        """The payment of an order that was captured, whatever was refunded since."""

    async def erase(self, person: str, pseudonym: str) -> tuple[int, int]:
        """Put ``pseudonym`` into a person's payments; returns how many, and how many of them are open."""

    async def attach(self, payment: Payment, intent_id: str) -> None:
        """Remember the intent of a payment."""

    async def await_action(self, payment: Payment, client_secret: str | None, deadline: datetime) -> bool:
        """STARTED to ACTION_REQUIRED; False when it was something else."""

    async def move(
        self,
        payment: Payment,
        expected: Sequence[Status],
        to: Status,
        *,
        reason: str | None = None,
        refund_id: str | None = None,
    ) -> bool:
        """Compare-and-set of the status; False when it was another."""


class Refunds(Protocol):
    """Refunds, within one transaction; what may be refunded is asked under the payment's lock."""

    async def add(self, refund: Refund, *, failure: str | None = None) -> bool:
        """Write a refund, carried out later unless ``failure`` refuses it; False when it was there already."""

    async def get(self, refund_id: uuid.UUID) -> Refund | None:
        """A refund."""

    async def of(self, payment: Payment) -> Sequence[Refund]:
        """The refunds of a payment, in the order in which they were asked for."""

    async def move(
        self,
        refund: Refund,
        to: RefundStatus,
        *,
        provider_id: str | None = None,
        failure: str | None = None,
    ) -> bool:
        """Compare-and-set of the status from the one that ``refund`` has; False when it was another."""

    async def due(self, seconds: float) -> Refund | None:
        """One that is waiting to be carried out, and ours alone for ``seconds``."""


class Disputes(Protocol):
    """Disputes, within one transaction."""

    async def follow(self, payment: Payment, dispute: Dispute) -> bool:
        """Write a dispute or its present state; False when nothing is new. A settled one does not change."""

    async def of(self, payment: Payment) -> Sequence[Dispute]:
        """The disputes of a payment."""


class Payouts(Protocol):
    """Payouts, within one transaction."""

    async def follow(self, payout: Payout) -> int:
        """Write a payout or its present state; returns how much of it was reversed until now."""


class Ledger(Protocol):
    """The ledger, within one transaction."""

    async def post(self, posting: Posting) -> bool:
        """Write a posting; False when its cause was posted already."""

    async def posted(self, cause: str) -> Mapping[Account, int]:
        """What was posted for a cause, empty when nothing was."""

    async def balance(self, payment: Payment, account: Account) -> int:
        """What a payment has left in an account, in minor units."""


class Transaction(Protocol):
    """A transaction: the state, the ledger, the outbox, and the decision of the command in the inbox."""

    @property
    def store(self) -> Store:
        """Payments."""

    @property
    def refunds(self) -> Refunds:
        """Refunds."""

    @property
    def disputes(self) -> Disputes:
        """Disputes."""

    @property
    def payouts(self) -> Payouts:
        """Payouts."""

    @property
    def ledger(self) -> Ledger:
        """The ledger."""

    async def first_time(self, message_id: str) -> bool:
        """Whether an event is new; its receipt is written with the transaction."""

    async def say(self, event: Event, payment: Payment, **more: str) -> None:
        """Announce an event if the transaction commits."""

    async def tell(self, event: Event, ids: Mapping[str, str]) -> None:
        """Announce an event that is about no payment of ours."""

    async def decide(self, outcome: Outcome) -> None:
        """Decide the command in the inbox."""


Transactions = Callable[[], AbstractAsyncContextManager[Transaction]]
