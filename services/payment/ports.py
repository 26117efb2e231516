"""What the use cases of payment need from outside."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Protocol

from services.payment.domain import Intent, Payment, Status


class Unknown(Exception):
    """The provider's answer was lost and could not be found out: money may have moved, or not."""


class Processor(Protocol):
    """A payment provider. Each call may be repeated without a second effect; each may raise Unknown."""

    async def create(self, payment: Payment) -> Intent:
        """The intent of a payment, made if there is none yet; nothing is authorised by it."""

    async def confirm(self, payment: Payment, intent_id: str) -> Intent:
        """Authorise: AUTHORISED or DECLINED, or what it was already."""

    async def capture(self, payment: Payment, intent_id: str) -> Intent:
        """Take the money: CAPTURED, or why not."""

    async def cancel(self, payment: Payment, intent_id: str) -> Intent:
        """Give an authorisation up: CANCELLED, or CAPTURED when it is too late."""

    async def refund(self, payment: Payment, intent_id: str) -> str:
        """Give the money back; returns the refund's id."""

    async def fetch(self, intent_id: str) -> Intent:
        """The intent as it is now."""


class Store(Protocol):
    """Payment's state, within one transaction. Every change is a compare-and-set."""

    async def start(self, payment: Payment) -> Payment:
        """Write a payment unless there is one of that order and attempt; returns the one that stands."""

    async def payment(self, order_id: uuid.UUID, attempt: int) -> Payment | None:
        """A payment."""

    async def attach(self, payment: Payment, intent_id: str) -> None:
        """Remember the intent of a payment."""

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
