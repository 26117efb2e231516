"""Buy a ticket on the running platform, as its users would: through the services' public APIs, step by step."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from scripts.local.platform import status
from scripts.local.platform.layout import Record
from scripts.local.processes import eventually

# Seconds: a saga of five steps takes about three, and as many minutes on a machine that does much else.
_PATIENCE = 180
_PRICE, _CAPACITY = 4200, 100
# A test card of Stripe's that is never declined.
CARD = "pm_card_visa"
_FINAL = frozenset({"completed", "cancelled", "needs_operator"})


class DemoFailed(RuntimeError):
    """A step was not answered as it should be; the message names the step and the answer."""


@dataclass(frozen=True, slots=True)
class Bought:
    """What the purchase produced. ``notifications`` are those that Novu received for the order."""

    order: dict[str, Any]
    ticket: dict[str, Any] | None
    saga: dict[str, Any]
    notifications: list[dict[str, Any]]


class _Person:
    """Somebody with a token, calling one service."""

    def __init__(self, base: str, issuer: str, *roles: str) -> None:
        subject = f"demo-{roles[0]}-{uuid.uuid4().hex[:8]}"
        token = httpx.post(f"{issuer}/token", json={"sub": subject, "roles": roles}).json()["access_token"]
        self._http = httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=10)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return _checked(self._http.post(path, json=body, headers={"Idempotency-Key": uuid.uuid4().hex}))

    def get(self, path: str) -> dict[str, Any]:
        return _checked(self._http.get(path))


@dataclass(frozen=True, slots=True)
class Placed:
    """An order whose saga runs, as its buyer sees it."""

    id: str
    _buyer: _Person

    def order(self) -> dict[str, Any]:
        return self._buyer.get(f"/orders/{self.id}")

    def saga(self) -> dict[str, Any]:
        """The trail of the order's saga."""
        return self._buyer.get(f"/orders/{self.id}/saga")


def place(record: Record, say: Callable[[str], None], *, payment_method: str = CARD) -> Placed:
    """Create an event, hold a place and check out. Raises DemoFailed."""
    base = status.service_url(record, "booking")
    organiser, buyer = (_Person(base, record.urls["issuer"], role) for role in ("organiser", "attendee"))

    starts = datetime.now(UTC) + timedelta(days=30)
    event = organiser.post("/events", {"name": "An evening of chamber music", "startsAt": starts.isoformat()})
    say(f"event {event['id']} created")
    seats = organiser.post(
        f"/events/{event['id']}/ticket-types",
        {"name": "Stalls", "price": _PRICE, "currency": "eur", "capacity": _CAPACITY},
    )
    hold = buyer.post("/holds", {"ticketTypeId": seats["id"], "quantity": 1})
    say(f"hold {hold['id']} taken until {hold['expiresAt']}")
    placed = buyer.post("/checkout", {"holdId": hold["id"], "paymentMethod": payment_method})
    say(f"order {placed['orderId']} placed; its saga runs")
    return Placed(placed["orderId"], buyer)


def buy(record: Record, say: Callable[[str], None], *, payment_method: str = CARD) -> Bought:
    """Place an order and follow it to its end. Raises DemoFailed.

    ``payment_method`` may be one of Stripe's cards that are declined: then the order ends cancelled, without a ticket.
    """
    placed = place(record, say, payment_method=payment_method)
    order: dict[str, Any] = {}
    trail: dict[str, Any] = {}

    def settled() -> bool:
        order.update(placed.order())
        trail.update(placed.saga())
        return order["status"] in _FINAL and trail["status"] != "RUNNING"

    if not eventually(settled, timeout=_PATIENCE, every=0.2):
        steps = ", ".join(f"{step['step']} {step['outcome']}" for step in trail["steps"])
        raise DemoFailed(
            f"order {placed.id} is {order['status']!r} after {_PATIENCE} s; its saga: {steps or 'not begun'}"
        )
    notifications: list[dict[str, Any]] = []

    def told() -> bool:
        delivered = httpx.get(f"{record.urls['novu']}/_local/delivered").json()["delivered"]
        notifications.extend(sent for sent in delivered if placed.id in str(sent))
        return bool(notifications)

    # The order does not wait for it: it is queued with the saga's last step, and sent a moment later.
    if not eventually(told, timeout=_PATIENCE, every=0.2):
        raise DemoFailed(f"order {placed.id} is {order['status']!r}, and nobody was notified within {_PATIENCE} s")
    return Bought(
        order=order,
        ticket=order["tickets"][0] if order["tickets"] else None,
        saga=trail,
        notifications=notifications,
    )


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise DemoFailed(f"{answer.request.method} {answer.request.url} answered {answer.status_code}: {answer.text}")
    body: dict[str, Any] = answer.json()
    return body
