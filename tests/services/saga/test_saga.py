"""The whole purchase, with every process of every service as it runs in a pod: bought, declined, killed half way."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from scripts.local.processes import eventually
from scripts.local.servers.postgres import Postgres
from scripts.local.servers.redis import Redis
from services.contracts import Command
from tests.services.broker import Broker
from tests.services.conftest import call
from tests.services.saga.platform import Platform, _post, launched


@pytest.fixture(scope="module")
def platform(
    folder: Path, postgres_server: Postgres, broker: Broker, redis_server: Redis, aws_server: str
) -> Iterator[Platform]:
    with launched(folder / "saga", postgres_server, broker, redis_server.url()) as made:
        yield made


def test_a_ticket_is_booked_from_hold_to_notification(platform: Platform, buyer: httpx.Client) -> None:
    ticket_type = platform.on_sale()
    order = platform.buy(buyer, ticket_type, quantity=2)
    found = platform.ended(buyer, order)
    assert found["status"] == "completed"
    assert (len(found["tickets"]), found["amount"]) == (2, 5_000)
    assert eventually(lambda: platform.delivered(order) == [f"order-completed:{order}"], timeout=10)

    with platform.client("booking", "organiser-1", "organiser") as organiser:
        door = _post(organiser, "/tickets/verify", {"code": found["tickets"][0]["code"]}, 200)
    assert (door["valid"], door["ticketId"]) == (True, found["tickets"][0]["id"])
    [intent] = platform.intents(order)
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 5_000)

    assert eventually(lambda: platform.trail(buyer, order)["status"] == "SUCCEEDED", timeout=10)
    trail = platform.trail(buyer, order)
    assert [(step["step"], step["attempt"], step["outcome"]) for step in trail["steps"]] == [
        (state, 1, "succeeded")
        for state in ("AuthorisePayment", "ConfirmSeats", "CapturePayment", "IssueTickets", "SendNotification")
    ]
    assert [step["command"] for step in trail["booking"]] == [Command.CONFIRM_SEATS, Command.ISSUE_TICKETS]


def test_the_feed_tells_each_event_once(platform: Platform) -> None:
    subject = f"buyer-{uuid.uuid4()}"
    with platform.client("booking", subject) as buyer, platform.client("notification", subject) as reader:
        order = platform.buy(buyer, platform.on_sale())
        platform.ended(buyer, order)

        def complete() -> bool:
            return sorted(entry["type"] for entry in reader.get("/notifications").json()) == [
                "order.completed",
                "order.placed",
                "ticket.issued",
            ]

        assert eventually(complete, timeout=10), reader.get("/notifications").json()


def test_a_declined_card_gives_the_seats_back_and_takes_nothing(platform: Platform, buyer: httpx.Client) -> None:
    ticket_type = platform.on_sale(capacity=1)
    order = platform.buy(buyer, ticket_type, card="pm_card_chargeDeclinedInsufficientFunds")
    assert platform.ended(buyer, order)["status"] == "cancelled"
    assert [intent["amount_received"] for intent in platform.intents(order)] == [0]
    again = platform.buy(buyer, ticket_type)
    assert platform.ended(buyer, again)["status"] == "completed"
    assert eventually(lambda: platform.delivered(order) == [f"order-cancelled:{order}"], timeout=10)


def test_a_capture_whose_answer_is_lost_charges_once(
    platform: Platform, buyer: httpx.Client, faults: Callable[..., object]
) -> None:
    faults(mode="drop-after", operation="capture", count=2, duplicate_webhooks=3, reorder_webhooks=True)
    order = platform.buy(buyer, platform.on_sale())
    assert platform.ended(buyer, order)["status"] == "completed"
    left = call(f"{platform.stripe}/_local/faults")
    assert isinstance(left, dict)
    assert left["count"] == 0, "both answers were lost"
    assert [(i["status"], i["amount_received"]) for i in platform.intents(order)] == [("succeeded", 2_500)]


@pytest.mark.parametrize("service", ["payment", "booking"])
def test_a_worker_killed_under_load_loses_no_order_and_charges_none_twice(
    platform: Platform, buyer: httpx.Client, service: str
) -> None:
    ticket_type = platform.on_sale(capacity=20)
    orders = [platform.buy(buyer, ticket_type) for _ in range(6)]
    platform.kill(service, "worker")
    platform.start(service, "worker")
    platform.await_ready(service, "worker")
    assert {platform.ended(buyer, order, within=90)["status"] for order in orders} == {"completed"}
    for order in orders:
        assert [intent["amount_received"] for intent in platform.intents(order)] == [2_500]


def test_a_relay_killed_with_messages_in_hand_starts_each_saga_once(platform: Platform, buyer: httpx.Client) -> None:
    ticket_type = platform.on_sale(capacity=20)
    platform.kill("booking", "relay")
    orders = [platform.buy(buyer, ticket_type) for _ in range(5)]
    assert {platform.trail(buyer, order)["status"] for order in orders} == {"NOT_STARTED"}
    platform.start("booking", "relay")
    platform.await_ready("booking", "relay")
    assert {platform.ended(buyer, order)["status"] for order in orders} == {"completed"}
    assert all(len(platform.intents(order)) == 1 for order in orders)


def test_a_buyer_has_his_money_back_in_parts_and_the_places_are_sold_again(
    platform: Platform, buyer: httpx.Client
) -> None:
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    ticket_type = platform.on_sale(capacity=2, refundsUntil=until)
    order = platform.buy(buyer, ticket_type, quantity=2)
    first, second = [ticket["id"] for ticket in platform.ended(buyer, order)["tickets"]]

    def statuses() -> list[str]:
        return sorted(ticket["status"] for ticket in buyer.get(f"/orders/{order}").json()["tickets"])

    def refunded() -> int:
        return sum(refund["amount"] for refund in platform.of_order(order)["refunds"])

    _post(buyer, f"/orders/{order}/refunds", {"ticketIds": [first]}, 202)
    assert eventually(lambda: statuses() == ["valid", "void"], timeout=30), statuses()
    assert refunded() == 2_500
    _post(buyer, f"/orders/{order}/refunds", {"ticketIds": [second]}, 202)
    assert eventually(lambda: buyer.get(f"/orders/{order}").json()["status"] == "refunded", timeout=30)
    assert refunded() == 5_000
    again = platform.buy(buyer, ticket_type, quantity=2)
    assert platform.ended(buyer, again)["status"] == "completed"


def test_an_order_waits_for_the_buyer_to_authenticate_also_when_the_worker_is_killed_meanwhile(
    platform: Platform,
) -> None:
    subject = f"buyer-{uuid.uuid4()}"
    with platform.client("booking", subject) as buyer, platform.client("payment", subject) as payer:
        order = platform.buy(buyer, platform.on_sale(), card="pm_card_authenticationRequired")

        def asked() -> bool:
            return bool(payer.get(f"/payments/{order}").json().get("status") == "action_required")

        assert eventually(asked, timeout=30), payer.get(f"/payments/{order}").text
        assert payer.get(f"/payments/{order}").json()["clientSecret"]
        platform.kill("payment", "worker")
        platform.start("payment", "worker")
        platform.await_ready("payment", "worker")
        assert platform.trail(buyer, order)["status"] == "RUNNING"
        [intent] = platform.intents(order)
        call(f"{platform.stripe}/_local/authenticate/{intent['id']}", {})
        assert platform.ended(buyer, order)["status"] == "completed"
    assert [intent["amount_received"] for intent in platform.intents(order)] == [2_500]
