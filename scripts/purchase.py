"""Buy a ticket as a platform's users would: through booking's public API, step by step."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import httpx

from scripts.local.processes import eventually

# Seconds: a saga of five steps takes about three, and as many minutes on a machine that does much else.
PATIENCE = 180
# A test card of Stripe's that is never declined.
CARD = "pm_card_visa"
_FINAL = frozenset({"completed", "cancelled", "needs_operator"})


class NotBought(RuntimeError):
    """A step was not answered as it should be; the message names the step and the answer."""


class Person:
    """Somebody with a token, calling booking at ``base``."""

    def __init__(self, base: str, token: str) -> None:
        self._base, self._headers = base, {"Authorization": f"Bearer {token}"}

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What booking answers. Raises NotBought."""
        again = {"Idempotency-Key": uuid.uuid4().hex}
        answer = httpx.post(self._base + path, json=body, headers={**self._headers, **again}, timeout=10)
        return dict(_checked(answer))

    def get(self, path: str) -> Any:
        """What booking answers. Raises NotBought."""
        return _checked(httpx.get(self._base + path, headers=self._headers, timeout=10))


@dataclass(frozen=True, slots=True)
class Placed:
    """An order whose saga runs, as its buyer sees it."""

    id: str
    _buyer: Person

    def order(self) -> dict[str, Any]:
        """The order."""
        return dict(self._buyer.get(f"/orders/{self.id}"))

    def saga(self) -> dict[str, Any]:
        """The trail of the order's saga."""
        return dict(self._buyer.get(f"/orders/{self.id}/saga"))

    def settled(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Order and trail, once both have ended. Raises NotBought when they do not."""
        order: dict[str, Any] = {}
        trail: dict[str, Any] = {}

        def ended() -> bool:
            order.update(self.order())
            trail.update(self.saga())
            return order["status"] in _FINAL and trail["status"] != "RUNNING"

        if not eventually(ended, timeout=PATIENCE, every=0.2):
            steps = ", ".join(f"{step['step']} {step['outcome']}" for step in trail["steps"])
            raise NotBought(
                f"order {self.id} is {order['status']!r} after {PATIENCE} s; its saga: {steps or 'not begun'}"
            )
        return order, trail


def place(buyer: Person, ticket_type: str, *, payment_method: str = CARD) -> Placed:
    """Hold one place of ``ticket_type`` and check out. Raises NotBought."""
    hold = buyer.post("/holds", {"ticketTypeId": ticket_type, "quantity": 1})
    placed = buyer.post("/checkout", {"holdId": hold["id"], "paymentMethod": payment_method})
    return Placed(placed["orderId"], buyer)


def local_token(issuer: str, name: str, *roles: str) -> str:
    """A token of the stand-in issuer for somebody new."""
    body = {"sub": f"{name}-{uuid.uuid4().hex[:8]}", "roles": roles}
    return str(httpx.post(f"{issuer}/token", json=body, timeout=10).raise_for_status().json()["access_token"])


def _checked(answer: httpx.Response) -> Any:
    if answer.is_error:
        raise NotBought(f"{answer.request.method} {answer.request.url} answered {answer.status_code}: {answer.text}")
    return answer.json()
