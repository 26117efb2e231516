"""Erasure of a buyer: what must be kept goes on under a pseudonym, everything else is removed."""

from __future__ import annotations

from services.booking.ports import ErasureStore, Voice
from services.common import erasure
from services.contracts import Event


class StillNeeded(Exception):
    """Something of the person is not over; it names what, and what to do first."""


async def erase(store: ErasureStore, voice: Voice, person: str) -> None:
    """Erase a person here, and have every other service do so.

    Idempotency: the person; who was erased stays so, and is announced once. Retries: the client's. Fails closed: while
    a hold, an order, a ticket or a refund is live nothing is changed. Raises StillNeeded.
    """
    if not await store.erase_once(person):
        return
    # First, because it may just be becoming an offer, which is live.
    await store.leave_lists(person)
    live = await store.live(person)
    if any(live.values()):
        what = ", ".join(f"{count} {kind}" for kind, count in live.items() if count)
        raise StillNeeded(
            f"still live: {what}. Give holds and tickets back or hand tickets on, wait for orders and refunds to end, "
            "then ask again; tickets can also wait until their event is over, and an organiser's events are a contract "
            "that is ended with the platform"
        )
    pseudonym = erasure.pseudonym()
    await store.erase(person, pseudonym)
    await voice.event(Event.BUYER_ERASED, buyerId=person, pseudonym=pseudonym)
