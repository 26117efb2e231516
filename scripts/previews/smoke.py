"""Whether a preview works: a ticket is bought from it, of what its seed put on sale, through its own API and saga."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.deployment import Say
from scripts.purchase import NotBought, Person, place
from stacks.preview import DEMO


@dataclass(frozen=True, slots=True)
class Smoke:
    """What the purchase produced."""

    order: str
    ticket: str


def buy(base: str, token: str, say: Say) -> Smoke:
    """Buy one ticket of the demo event at booking's API ``base``. Raises NotBought."""
    buyer = Person(base, token)
    on_sale = [event for event in buyer.get("/feed/events") if event["name"] == DEMO["event"]]
    if not on_sale or not on_sale[0]["ticketTypes"]:
        raise NotBought(f"{base} has no event {DEMO['event']!r} on sale; look at the log of the job `seed`")
    placed = place(buyer, on_sale[0]["ticketTypes"][0]["id"])
    say(f"buying a ticket: order {placed.id}")
    order, trail = placed.settled()
    if order["status"] != "completed":
        raise NotBought(f"order {placed.id} ended {order['status']}; its saga: {trail['steps']}")
    return Smoke(order=placed.id, ticket=order["tickets"][0]["id"])
