"""Buy a ticket on the running platform, from an event made for it, and see who was told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from scripts import purchase
from scripts.local.platform import status
from scripts.local.platform.layout import Record
from scripts.local.processes import eventually
from scripts.purchase import CARD, NotBought, Person, Placed, local_token

_PRICE, _CAPACITY = 4200, 100


@dataclass(frozen=True, slots=True)
class Bought:
    """What the purchase produced. ``notifications`` are those that Novu received for the order."""

    order: dict[str, Any]
    ticket: dict[str, Any] | None
    saga: dict[str, Any]
    notifications: list[dict[str, Any]]


def place(record: Record, say: Callable[[str], None], *, payment_method: str = CARD) -> Placed:
    """Create an event, hold a place and check out. Raises NotBought."""
    base = status.service_url(record, "booking")
    organiser, buyer = (
        Person(base, local_token(record.urls["issuer"], f"demo-{role}", role)) for role in ("organiser", "attendee")
    )
    starts = datetime.now(UTC) + timedelta(days=30)
    event = organiser.post("/events", {"name": "An evening of chamber music", "startsAt": starts.isoformat()})
    say(f"event {event['id']} created")
    seats = organiser.post(
        f"/events/{event['id']}/ticket-types",
        {"name": "Stalls", "price": _PRICE, "currency": "eur", "capacity": _CAPACITY},
    )
    placed = purchase.place(buyer, seats["id"], payment_method=payment_method)
    say(f"order {placed.id} placed; its saga runs")
    return placed


def buy(record: Record, say: Callable[[str], None], *, payment_method: str = CARD) -> Bought:
    """Place an order and follow it to its end. Raises NotBought.

    ``payment_method`` may be one of Stripe's cards that are declined: then the order ends cancelled, without a ticket.
    """
    placed = place(record, say, payment_method=payment_method)
    order, trail = placed.settled()
    notifications: list[dict[str, Any]] = []

    def told() -> bool:
        delivered = httpx.get(f"{record.urls['novu']}/_local/delivered").json()["delivered"]
        notifications.extend(sent for sent in delivered if placed.id in str(sent))
        return bool(notifications)

    # The order does not wait for it: it is queued with the saga's last step, and sent a moment later.
    if not eventually(told, timeout=purchase.PATIENCE, every=0.2):
        raise NotBought(f"order {placed.id} is {order['status']!r}, and nobody was notified")
    return Bought(
        order=order,
        ticket=order["tickets"][0] if order["tickets"] else None,
        saga=trail,
        notifications=notifications,
    )
