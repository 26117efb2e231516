"""Tickets after they are sold: given back, given on, and used up at the door; each once."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from services.booking import bootstrap
from services.booking.adapters.audit import inconsistent
from services.booking.adapters.cancellations import refund_cancelled
from services.booking.domain.orders import Order
from services.booking.ticket_codes import Signer
from services.contracts import Command, Event, EventMessage
from tests.services.booking.conftest import People, Person
from tests.services.booking.test_commands import carry_out
from tests.services.samples import ORGANISER, on_sale, ordered

LATER = datetime.now(UTC) + timedelta(days=1)


async def bought(pool: asyncpg.Pool, signer: Signer, *, quantity: int = 2, refundable: bool = True) -> Order:
    """A completed order of an event whose buyers may give tickets back."""
    order = await ordered(pool, quantity=quantity)
    for command in (Command.CONFIRM_SEATS, Command.ISSUE_TICKETS):
        assert (await carry_out(pool, signer, command, order.id)).error is None
    if refundable:
        await pool.execute("UPDATE events SET refunds_until = $1", LATER)
    return order


def said(kind: Event, refund: dict[str, Any]) -> EventMessage:
    """What payment answers."""
    return EventMessage(
        id=str(uuid.uuid4()),
        type=kind,
        occurred_at=datetime.now(UTC).isoformat(),
        ids={"refundId": refund["id"], "amount": str(refund["amount"])},
    )


async def tickets(pool: asyncpg.Pool) -> list[dict[str, Any]]:
    return [
        dict(row) for row in await pool.fetch("SELECT id, status, value, code FROM tickets ORDER BY number, status")
    ]


async def state(pool: asyncpg.Pool) -> tuple[str, int, list[str]]:
    """The order's status, what counts as sold, and the tickets' statuses."""
    status = await pool.fetchval("SELECT status FROM orders")
    sold = await pool.fetchval("SELECT sold FROM pools")
    return status, sold, [ticket["status"] for ticket in await tickets(pool)]


async def test_tickets_are_set_aside_at_once_and_their_places_return_with_the_money(
    booking: asyncpg.Pool, signer: Signer, person: People
) -> None:
    order = await bought(booking, signer)
    refund = (await person(order.buyer_id).post(f"/orders/{order.id}/refunds", {})).json()
    assert refund["amount"] == order.amount == sum(ticket["value"] for ticket in await tickets(booking))
    assert await state(booking) == ("completed", 2, ["refunding", "refunding"])
    payload = await booking.fetchval("SELECT payload FROM outbox WHERE topic = 'order.refund_requested'")
    assert (payload["refundId"], payload["amount"]) == (refund["id"], str(order.amount))

    answer = said(Event.PAYMENT_REFUNDED, refund)
    await asyncio.gather(*(bootstrap.on_event(booking, answer) for _ in range(20)))
    await bootstrap.on_event(booking, said(Event.PAYMENT_REFUNDED, refund))
    assert await state(booking) == ("refunded", 0, ["void", "void"])
    assert await booking.fetchval("SELECT count(*) FROM outbox WHERE topic = 'order.refunded'") == 1
    assert await inconsistent(booking) == []


async def test_a_part_is_refunded_and_the_rest_stays_good(
    booking: asyncpg.Pool, signer: Signer, person: People
) -> None:
    order = await bought(booking, signer, quantity=3)
    first, *others = [ticket["id"] for ticket in await tickets(booking)]
    buyer = person(order.buyer_id)
    refund = (await buyer.post(f"/orders/{order.id}/refunds", {"ticketIds": [str(first)]})).json()
    assert refund["amount"] == order.amount // 3
    await bootstrap.on_event(booking, said(Event.PAYMENT_REFUNDED, refund))
    assert await state(booking) == ("completed", 2, ["void", "valid", "valid"])
    again = await buyer.post(f"/orders/{order.id}/refunds", {"ticketIds": [str(first)]})
    assert (again.status_code, again.json()["type"]) == (409, "urn:problem:not-refundable")
    rest = (await buyer.post(f"/orders/{order.id}/refunds", {"ticketIds": [str(id) for id in others]})).json()
    await bootstrap.on_event(booking, said(Event.PAYMENT_REFUNDED, rest))
    assert await state(booking) == ("refunded", 0, ["void", "void", "void"])
    assert await inconsistent(booking) == []


async def test_tickets_are_good_again_when_the_money_cannot_be_given_back(
    booking: asyncpg.Pool, signer: Signer, person: People
) -> None:
    order = await bought(booking, signer)
    buyer = person(order.buyer_id)
    refund = (await buyer.post(f"/orders/{order.id}/refunds", {})).json()
    await bootstrap.on_event(booking, said(Event.PAYMENT_REFUND_FAILED, refund))
    # A late word to the contrary finds it settled.
    await bootstrap.on_event(booking, said(Event.PAYMENT_REFUNDED, refund))
    assert await state(booking) == ("completed", 2, ["valid", "valid"])
    assert (await buyer.post(f"/orders/{order.id}/refunds", {})).status_code == 202


async def test_a_refund_asked_for_by_many_at_once_is_one(booking: asyncpg.Pool, signer: Signer, person: People) -> None:
    order = await bought(booking, signer)
    buyer = person(order.buyer_id)
    answers = await asyncio.gather(*(buyer.post(f"/orders/{order.id}/refunds", {}) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 19
    assert await booking.fetchval("SELECT count(*) FROM refunds") == 1


async def test_who_may_ask_for_a_refund_and_until_when(booking: asyncpg.Pool, signer: Signer, person: People) -> None:
    order = await bought(booking, signer, refundable=False)
    path = f"/orders/{order.id}/refunds"
    assert (await person(order.buyer_id).post(path, {})).status_code == 409
    assert (await person("stranger").post(path, {})).status_code == 404
    assert (await person("organiser-2", "organiser").post(path, {})).status_code == 404
    assert (await person(ORGANISER, "organiser").post(path, {})).status_code == 202


async def test_a_cancelled_event_refunds_every_order_once_also_one_that_completes_later(
    booking: asyncpg.Pool, signer: Signer, organiser: Person
) -> None:
    await bought(booking, signer, refundable=False)
    late = await ordered(booking)
    await booking.execute("UPDATE orders SET event_id = (SELECT min(id::text)::uuid FROM events)")
    [event] = {row["event_id"] for row in await booking.fetch("SELECT event_id FROM orders")}
    assert (await organiser.post(f"/events/{event}/cancellation")).status_code == 204
    await asyncio.gather(*(refund_cancelled(booking) for _ in range(5)))
    assert await booking.fetchval("SELECT count(*) FROM refunds") == 1
    for command in (Command.CONFIRM_SEATS, Command.ISSUE_TICKETS):
        await carry_out(booking, signer, command, late.id)
    assert await refund_cancelled(booking) == 1
    assert await refund_cancelled(booking) == 0
    assert await booking.fetchval("SELECT count(DISTINCT order_id) FROM refunds") == 2


async def test_a_ticket_taken_over_has_a_new_code_and_the_old_one_opens_no_door(
    booking: asyncpg.Pool, signer: Signer, person: People, organiser: Person
) -> None:
    order = await bought(booking, signer, quantity=1)
    giver, taker = person(order.buyer_id), person("friend")
    [old] = await tickets(booking)
    offer = (await giver.post(f"/tickets/{old['id']}/offer")).json()
    taken = await taker.post("/transfers", {"secret": offer["secret"]})
    assert taken.status_code == 201
    new = taken.json()
    codes = {"old": old["code"], "new": new["code"]}
    seen = {
        name: (await organiser.post("/tickets/verify", {"code": code})).json()["valid"] for name, code in codes.items()
    }
    assert seen == {"old": False, "new": True}
    assert [ticket["id"] for ticket in (await taker.get("/tickets")).json()] == [new["id"]]
    assert (await giver.get("/tickets")).json() == []
    # Its giver neither sees its code nor gets the money of what he gave away.
    shown = (await giver.get(f"/orders/{order.id}")).json()["tickets"]
    assert [ticket["code"] is None for ticket in shown if ticket["id"] == new["id"]] == [True]
    assert (await giver.post(f"/orders/{order.id}/refunds", {})).status_code == 409
    assert await inconsistent(booking) == []


async def test_an_offer_is_accepted_once_and_a_newer_one_takes_its_place(
    booking: asyncpg.Pool, signer: Signer, person: People
) -> None:
    order = await bought(booking, signer, quantity=1)
    giver = person(order.buyer_id)
    [ticket] = await tickets(booking)
    first, second = [(await giver.post(f"/tickets/{ticket['id']}/offer")).json()["secret"] for _ in range(2)]
    assert (await person("early").post("/transfers", {"secret": first})).status_code == 409
    answers = await asyncio.gather(*(person(f"friend-{n}").post("/transfers", {"secret": second}) for n in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert (await giver.post(f"/tickets/{ticket['id']}/offer")).status_code == 409, "it is his no more"
    assert await booking.fetchval("SELECT count(*) FROM tickets WHERE status = 'valid'") == 1


@pytest.mark.parametrize("spoilt", ["UPDATE transfers SET expires_at = now()", "UPDATE tickets SET status = 'used'"])
async def test_what_has_expired_or_was_used_is_not_taken_over(
    booking: asyncpg.Pool, signer: Signer, person: People, spoilt: str
) -> None:
    order = await bought(booking, signer, quantity=1)
    [ticket] = await tickets(booking)
    secret = (await person(order.buyer_id).post(f"/tickets/{ticket['id']}/offer")).json()["secret"]
    await booking.execute(spoilt)
    assert (await person("friend").post("/transfers", {"secret": secret})).status_code == 409
    assert await booking.fetchval("SELECT count(*) FROM transfers WHERE status = 'offered'") == 1


def read(code: str, *, device: str = "door-1", at: datetime | None = None) -> dict[str, Any]:
    return {"readings": [{"code": code, "device": device, "at": (at or datetime.now(UTC)).isoformat()}]}


async def test_one_ticket_opens_one_door_once_however_many_read_it_at_once(
    booking: asyncpg.Pool, signer: Signer, organiser: Person
) -> None:
    order = await bought(booking, signer, quantity=1)
    [ticket] = await tickets(booking)
    path = f"/events/{order.event_id}/check-ins"
    answers = await asyncio.gather(*(organiser.post(path, read(ticket["code"], device=f"door-{n}")) for n in range(20)))
    [first], *_ = sorted((answer.json() for answer in answers), key=lambda found: not found[0]["accepted"])
    assert sum(answer.json()[0]["accepted"] for answer in answers) == 1
    assert first == {"accepted": True, "reason": None, "usedAt": None}
    late = (await organiser.post(path, read(ticket["code"]))).json()[0]
    assert (late["accepted"], late["reason"], late["usedAt"] is not None) == (False, "used", True)


async def test_a_device_that_sends_its_list_again_gets_the_answers_that_it_got(
    booking: asyncpg.Pool, signer: Signer, organiser: Person
) -> None:
    order = await bought(booking, signer, quantity=1)
    [ticket] = await tickets(booking)
    reading, path = read(ticket["code"], at=datetime.now(UTC)), f"/events/{order.event_id}/check-ins"
    assert [(await organiser.post(path, reading)).json()[0]["accepted"] for _ in range(3)] == [True] * 3
    assert await booking.fetchval("SELECT count(*) FROM check_ins") == 1


async def test_a_door_without_a_network_knows_every_ticket(
    booking: asyncpg.Pool, signer: Signer, organiser: Person, person: People
) -> None:
    order = await bought(booking, signer, quantity=3)
    path = f"/events/{order.event_id}/check-in-list"
    listed = (await organiser.get(path)).json()
    assert len(listed) == 3
    assert (await organiser.get(path, after=listed[1]["id"])).json() == listed[2:]
    assert (await person("organiser-2", "organiser").get(path)).status_code == 404
    assert (await person(order.buyer_id).get(path)).status_code == 403


async def test_a_refunded_ticket_and_one_of_another_event_open_no_door(
    booking: asyncpg.Pool, signer: Signer, organiser: Person, person: People
) -> None:
    order = await bought(booking, signer, quantity=1)
    [ticket] = await tickets(booking)
    await person(order.buyer_id).post(f"/orders/{order.id}/refunds", {})
    asked = (await organiser.post(f"/events/{order.event_id}/check-ins", read(ticket["code"]))).json()[0]
    assert (asked["accepted"], asked["reason"]) == (False, "refunding")
    await on_sale(booking, 1)
    other = await booking.fetchval("SELECT id FROM events WHERE id <> $1", order.event_id)
    elsewhere = (await organiser.post(f"/events/{other}/check-ins", read(ticket["code"]))).json()[0]
    assert elsewhere["reason"] == "not a ticket of this event"
    forged = (await organiser.post(f"/events/{order.event_id}/check-ins", read("forged"))).json()[0]
    assert forged["reason"] == "not a ticket of this platform"
