"""The use case of erasure: the accounts go on under a pseudonym, and how the person paid is forgotten."""

from __future__ import annotations

from services.common import logs
from services.contracts import EventMessage
from services.payment.ports import Transactions

log = logs.get(__name__)


class StillOpen(Exception):
    """A payment of the person is not decided: booking erases nobody whose order is live, so this one is late."""


async def erase(transactions: Transactions, event: EventMessage) -> None:
    """`buyer.erased`: put the pseudonym into the person's payments, and remove the ways to pay and the client secrets.

    Idempotency: the event's id, and the person. Retries: the broker's. Fails closed: raises StillOpen while a payment
    is open, which the saga decides within minutes; else the event ends as a dead letter. Ledger, refunds and disputes
    name payments, not people. Nothing is to be erased at Stripe: no customer is made there, an intent bears our ids.
    """
    async with transactions() as tx:
        if not await tx.first_time(event.id):
            return
        changed, still_open = await tx.store.erase(event.ids["buyerId"], event.ids["pseudonym"])
        if still_open:
            raise StillOpen(f"{still_open} payments of the person are open")
    log.info("buyer erased", payments=changed)
