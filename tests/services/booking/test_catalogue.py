"""What organisers put on sale, and when, to whom and at what price it is sold."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import httpx
import pytest

from services.booking.adapters.audit import inconsistent
from tests.services.booking.conftest import People, Person

EVENT: dict[str, Any] = {"name": "Concert", "startsAt": "2030-05-01T20:00:00+02:00"}
TYPE: dict[str, Any] = {"name": "Standing", "currency": "eur", "price": 2_500, "capacity": 10}
PAST, FUTURE = "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"


async def hold(who: Person, ticket_type: str, quantity: int = 1, **more: Any) -> httpx.Response:
    return await who.post("/holds", {"ticketTypeId": ticket_type, "quantity": quantity, **more})


def kind(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).removeprefix("urn:problem:")


async def test_an_event_is_shown_with_its_venue_and_what_is_on_sale(organiser: Person, api: httpx.AsyncClient) -> None:
    place = {"name": "Olympia", "address": "28 boulevard des Capucines", "city": "Paris", "country": "FR"}
    venue = await organiser.create("/venues", place)
    event = await organiser.create("/events", {**EVENT, "venueId": venue})
    await organiser.create(f"/events/{event}/ticket-types", TYPE)
    shown = (await api.get(f"/events/{event}")).json()
    assert (shown["venue"]["city"], shown["status"]) == ("Paris", "published")
    [ticket_type] = shown["ticketTypes"]
    assert (ticket_type["price"], ticket_type["available"], ticket_type["salesUntil"]) == (2_500, 10, None)


async def test_an_event_is_not_held_at_somebody_elses_venue(organiser: Person, person: People) -> None:
    place = {"name": "Olympia", "address": "28 boulevard des Capucines", "city": "Paris", "country": "FR"}
    venue = await person("organiser-2", "organiser").create("/venues", place)
    assert (await organiser.post("/events", {**EVENT, "venueId": venue})).status_code == 404


async def test_two_ticket_types_of_one_pool_share_its_capacity(
    organiser: Person, buyer: Person, booking: asyncpg.Pool
) -> None:
    event = await organiser.create("/events", EVENT)
    pool = await organiser.create(f"/events/{event}/pools", {"name": "Stalls", "capacity": 3})
    shared = {"name": "Adult", "currency": "eur", "price": 2_500, "poolId": pool}
    adult = await organiser.create(f"/events/{event}/ticket-types", shared)
    child = await organiser.create(f"/events/{event}/ticket-types", {**shared, "name": "Child", "price": 1_000})
    statuses = [(await hold(buyer, each, 2)).status_code for each in (adult, child, adult)]
    assert statuses == [201, 409, 409]
    assert await inconsistent(booking) == []


async def test_a_pool_of_another_event_cannot_be_drawn_on(organiser: Person) -> None:
    ours, other = [await organiser.create("/events", EVENT) for _ in range(2)]
    pool = await organiser.create(f"/events/{other}/pools", {"name": "Stalls", "capacity": 3})
    terms = {"name": "Adult", "currency": "eur", "price": 2_500, "poolId": pool}
    assert (await organiser.post(f"/events/{ours}/ticket-types", terms)).status_code == 404


async def test_the_price_is_that_of_the_tier_in_force_and_stays_while_it_is_held(
    organiser: Person, buyer: Person, booking: asyncpg.Pool
) -> None:
    event = await organiser.create("/events", EVENT)
    tiers = [{"price": 1_000, "until": PAST}, {"price": 1_500, "until": FUTURE}, {"price": 2_000}]
    terms = {"name": "Standing", "currency": "eur", "capacity": 10, "tiers": tiers}
    ticket_type = await organiser.create(f"/events/{event}/ticket-types", terms)
    held = (await hold(buyer, ticket_type, 2)).json()["id"]
    await booking.execute("DELETE FROM price_tiers WHERE price = 1500")
    placed = await buyer.post("/checkout", {"holdId": held, "paymentMethod": "pm_card_visa"})
    assert placed.json()["amount"] == 3_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"tiers": [{"price": 100}]},
        {"price": None},
        {"price": None, "tiers": [{"price": 100, "until": FUTURE}]},
        {"price": None, "tiers": [{"price": 100, "until": FUTURE}, {"price": 90, "until": PAST}, {"price": 80}]},
        {"capacity": None},
        {"poolId": str(uuid.uuid4())},
        {"salesFrom": FUTURE, "salesUntil": PAST},
        {"maxPerBuyer": 0},
    ],
)
async def test_contradictory_terms_are_refused(organiser: Person, wrong: dict[str, Any]) -> None:
    event = await organiser.create("/events", EVENT)
    terms = {key: value for key, value in {**TYPE, **wrong}.items() if value is not None}
    assert (await organiser.post(f"/events/{event}/ticket-types", terms)).status_code == 422


@pytest.mark.parametrize("window", [{"salesFrom": FUTURE}, {"salesUntil": PAST}])
async def test_nothing_is_sold_outside_of_the_sale(organiser: Person, buyer: Person, window: dict[str, str]) -> None:
    event = await organiser.create("/events", EVENT)
    ticket_type = await organiser.create(f"/events/{event}/ticket-types", {**TYPE, **window})
    assert kind(await hold(buyer, ticket_type)) == "not-on-sale"


async def test_a_draft_is_sold_once_it_is_published_and_nothing_of_what_is_cancelled(
    organiser: Person, buyer: Person, person: People
) -> None:
    event = await organiser.create("/events", {**EVENT, "draft": True})
    ticket_type = await organiser.create(f"/events/{event}/ticket-types", TYPE)
    feed = person("indexer", "platform")
    assert kind(await hold(buyer, ticket_type)) == "not-on-sale"
    assert (await feed.get("/feed/events")).json() == []
    for _ in range(2):
        assert (await organiser.post(f"/events/{event}/publication")).status_code == 204
    assert (await hold(buyer, ticket_type)).status_code == 201
    [published] = (await feed.get("/feed/events")).json()
    assert (await organiser.post(f"/events/{event}/cancellation")).status_code == 204
    assert kind(await hold(buyer, ticket_type)) == "not-on-sale"
    assert kind(await organiser.post(f"/events/{event}/publication")) == "event-cancelled"
    [cancelled] = (await feed.get("/feed/events", after=published["change"])).json()
    assert (cancelled["id"], cancelled["status"]) == (event, "cancelled")


async def test_a_buyer_has_no_more_than_one_buyer_may_even_when_he_asks_from_everywhere_at_once(
    organiser: Person, buyer: Person, booking: asyncpg.Pool
) -> None:
    event = await organiser.create("/events", EVENT)
    ticket_type = await organiser.create(f"/events/{event}/ticket-types", {**TYPE, "capacity": 100, "maxPerBuyer": 4})
    answers = await asyncio.gather(*(hold(buyer, ticket_type) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] * 4 + [409] * 16
    assert {kind(answer) for answer in answers if answer.is_error} == {"limit-reached"}
    assert await booking.fetchval("SELECT sum(quantity) FROM holds") == 4


async def test_numbered_seats_are_sold_once_each_and_free_again_when_they_are_given_up(
    organiser: Person, buyer: Person, person: People, booking: asyncpg.Pool, api: httpx.AsyncClient
) -> None:
    event = await organiser.create("/events", EVENT)
    seats = [{"section": "A", "line": "1", "number": str(number)} for number in range(1, 5)]
    pool = await organiser.create(f"/events/{event}/pools", {"name": "Hall", "seats": seats})
    terms = {"name": "Seat", "currency": "eur", "price": 2_500, "poolId": pool}
    ticket_type = await organiser.create(f"/events/{event}/ticket-types", terms)
    ids = [seat["id"] for seat in (await api.get(f"/pools/{pool}/seats")).json()]

    mine = await hold(buyer, ticket_type, 2, seats=ids[:2])
    assert mine.status_code == 201
    assert [seat["free"] for seat in (await api.get(f"/pools/{pool}/seats")).json()] == [False, False, True, True]
    rivals = await asyncio.gather(*(hold(person(f"rival-{n}"), ticket_type, 2, seats=ids[1:3]) for n in range(5)))
    assert {kind(answer) for answer in rivals} == {"seats-taken"}
    racing = await asyncio.gather(*(hold(person(f"racer-{n}"), ticket_type, 2, seats=ids[2:]) for n in range(10)))
    assert sorted(answer.status_code for answer in racing) == [201] + [409] * 9
    assert kind(await hold(buyer, ticket_type, 1)) == "seats-needed"
    assert await inconsistent(booking) == []

    assert (await buyer.delete(f"/holds/{mine.json()['id']}")).status_code == 204
    assert (await hold(person("patient"), ticket_type, 2, seats=ids[:2])).status_code == 201
    assert await inconsistent(booking) == []


async def test_a_seat_is_not_named_for_places_without_numbers(organiser: Person, buyer: Person) -> None:
    event = await organiser.create("/events", EVENT)
    ticket_type = await organiser.create(f"/events/{event}/ticket-types", TYPE)
    assert kind(await hold(buyer, ticket_type, 1, seats=[str(uuid.uuid4())])) == "seats-needed"


async def test_a_hold_is_extended_twice_and_by_its_buyer_alone(
    organiser: Person, buyer: Person, person: People, booking: asyncpg.Pool
) -> None:
    event = await organiser.create("/events", EVENT)
    ticket_type = await organiser.create(f"/events/{event}/ticket-types", TYPE)
    held = (await hold(buyer, ticket_type)).json()["id"]
    assert (await person("stranger").post(f"/holds/{held}/extension")).status_code == 404
    assert (await person("stranger").delete(f"/holds/{held}")).status_code == 404
    await booking.execute("UPDATE holds SET expires_at = now() + interval '1 minute'")
    statuses = [(await buyer.post(f"/holds/{held}/extension")).status_code for _ in range(3)]
    assert statuses == [200, 200, 409]
    assert await booking.fetchval("SELECT expires_at > now() + interval '9 minutes' FROM holds")


async def test_a_voucher_takes_its_share_off_and_is_used_no_more_often_than_it_may(
    organiser: Person, person: People, booking: asyncpg.Pool
) -> None:
    event = await organiser.create("/events", EVENT)
    ticket_type = await organiser.create(f"/events/{event}/ticket-types", TYPE)
    voucher = {"code": "EARLY-20", "percent": 20, "maxUses": 1}
    await organiser.create(f"/events/{event}/vouchers", voucher)
    assert kind(await organiser.post(f"/events/{event}/vouchers", voucher)) == "code-taken"
    buyers = [person(f"buyer-{n}") for n in range(5)]
    holds = [(await hold(each, ticket_type, 2)).json()["id"] for each in buyers]
    answers = await asyncio.gather(
        *(
            each.post("/checkout", {"holdId": held, "paymentMethod": "pm_card_visa", "voucher": "EARLY-20"})
            for each, held in zip(buyers, holds, strict=True)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 4
    assert {answer.json()["amount"] for answer in answers if not answer.is_error} == {4_000}
    assert {kind(answer) for answer in answers if answer.is_error} == {"voucher-unusable"}
    # What was refused lost nothing: the hold is as it was.
    assert await booking.fetchval("SELECT count(*) FROM holds WHERE order_id IS NULL AND status = 'active'") == 4


async def test_only_its_organiser_sees_the_figures_of_an_event(
    organiser: Person, buyer: Person, person: People
) -> None:
    event = await organiser.create("/events", EVENT)
    ticket_type = await organiser.create(f"/events/{event}/ticket-types", TYPE)
    await hold(buyer, ticket_type, 3)
    figures = (await organiser.get(f"/events/{event}/figures")).json()
    assert [(pool["capacity"], pool["held"]) for pool in figures["pools"]] == [(10, 3)]
    assert [(each["held"], each["sold"], each["takings"]) for each in figures["ticketTypes"]] == [(3, 0, 0)]
    assert (await person("organiser-2", "organiser").get(f"/events/{event}/figures")).status_code == 404
    assert (await buyer.get(f"/events/{event}/figures")).status_code == 403
    assert (await buyer.get("/feed/events")).status_code == 403
