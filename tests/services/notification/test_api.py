"""One's own preferences and feed and nobody else's; what Novu says is verified, in any order, however often."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import asyncpg
import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from scripts.local import processes
from services.common.auth import Principal, principal
from services.common.problems import Problem
from services.common.webhooks import LARGEST_BYTES
from services.contracts import Event
from services.notification import domain, handlers
from services.notification.adapters.store import PostgresStore
from services.notification.domain import Report, Status
from services.notification.entrypoints import api
from services.notification.sending import Sender
from services.notification.settings import ApiSettings
from services.notification.workflows.model import Channel
from tests.services.notification.conftest import Novu, event, status

SECRET = "whsec_" + "c2lnbmluZy1zZWNyZXQtb2YtdGhlLXRlc3Rz"


@pytest.fixture
async def app(notification: asyncpg.Pool) -> FastAPI:
    """The application on the test's database; callers are who their `Authorization` says: `name role role`."""
    made = api.create_app(ApiSettings(database_url=SecretStr("unused"), oidc_issuer="https://issuer.example"))
    made.state.pool, made.state.webhook_secret = notification, SecretStr(SECRET)

    def caller(request: Request) -> Principal:
        if "authorization" not in request.headers:
            raise Problem(401, "unauthorised", "Send a bearer token.")
        name, *roles = request.headers["authorization"].split()
        return Principal(name, frozenset(roles))

    made.dependency_overrides[principal] = caller
    return made


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as made:
        yield made


def said(kind: str, transaction: str, channel: str, **data: object) -> dict[str, Any]:
    message = {"transactionId": transaction, "channel": channel}
    return {"id": f"evt_{uuid.uuid4()}", "type": kind, "data": {"object": message, **data}}


def signed(content: object, *, secret: str = SECRET, at: datetime | None = None) -> tuple[bytes, dict[str, str]]:
    body, when, name = json.dumps(content), at or datetime.now(UTC), f"msg_{uuid.uuid4()}"
    signature = Webhook(secret).sign(name, when, body)
    return body.encode(), {
        "svix-id": name,
        "svix-timestamp": str(int(when.timestamp())),
        "svix-signature": signature,
    }


async def test_preferences_are_ones_own_and_saying_them_twice_is_saying_them_once(client: httpx.AsyncClient) -> None:
    wanted = {
        "locale": "en",
        "timeZone": "Europe/London",
        "quietHours": {"start": "22:00:00", "end": "07:00:00"},
        "channels": {"marketing": {"email": True}, "tickets": {"sms": False}},
    }
    mine, other = {"Authorization": "anna"}, {"Authorization": "organiser-1 organiser platform"}
    for _ in range(2):
        saved = await client.put("/preferences", json=wanted, headers=mine)
        assert saved.status_code == 200, saved.text
    shown = (await client.get("/preferences", headers=mine)).json()
    assert shown == saved.json()
    assert shown["channels"]["marketing"] == {
        "email": True, "sms": False, "push": False, "in_app": False, "chat": False,
    }  # fmt: skip
    assert (shown["channels"]["tickets"]["sms"], shown["channels"]["tickets"]["email"]) == (False, True)
    elsewhere = (await client.get("/preferences", headers=other)).json()
    assert (elsewhere["locale"], elsewhere["timeZone"], elsewhere["quietHours"]) == ("fr", "Europe/Paris", None)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"channels": {"tickets": dict.fromkeys(Channel, False)}}, "tickets-need-a-channel"),
        ({"quietHours": {"start": "08:00", "end": "08:00"}}, "quiet-hours-without-end"),
        ({"timeZone": "Paris"}, "invalid-request"),
        ({"locale": "de"}, "invalid-request"),
        ({"channels": {"tickets": {"fax": True}}}, "invalid-request"),
        ({"email": "anna@example.org"}, "invalid-request"),
        ({"channels": {"tickets": {"sms": "no"}}}, "invalid-request"),
        ({"channels": {"tickets": {"sms": 0}}}, "invalid-request"),
        ({"quietHours": {"start": "22:00:00Z", "end": "07:00"}}, "invalid-request"),
        ({"quietHours": {"start": 79_200, "end": "07:00"}}, "invalid-request"),
        ({"timeZone": "Europe/Paris\x00"}, "invalid-request"),
    ],
)
async def test_what_cannot_be_is_refused(client: httpx.AsyncClient, body: object, kind: str) -> None:
    answer = await client.put("/preferences", json=body, headers={"Authorization": "anna"})
    assert (answer.status_code, answer.json()["type"]) == (422, f"urn:problem:{kind}")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("wrong", ["", "anna\x00", "\ud800", "x" * 129, 7])
async def test_an_id_that_nobody_can_have_is_refused_and_nothing_is_queued(
    client: httpx.AsyncClient, notification: asyncpg.Pool, wrong: object
) -> None:
    campaign = {"campaign": "spring", "eventId": "event-1", "subscriberIds": ["anna", wrong]}
    headers = {"Authorization": "operator platform", "Content-Type": "application/json"}
    answer = await client.post("/campaigns", content=json.dumps(campaign).encode(), headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["at"]) == (422, "body/subscriberIds/1")
    assert await notification.fetchval("SELECT count(*) FROM deliveries") == 0
    assert (await client.post("/deliveries/a%00b/requeue", headers=headers)).status_code == 422


@pytest.mark.parametrize("path", ["/preferences", "/notifications", "/deliveries/dead"])
async def test_nobody_is_nobody(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 401


async def test_only_the_platform_sees_and_puts_back_what_is_dead_and_announces(
    client: httpx.AsyncClient, notification: asyncpg.Pool
) -> None:
    cancelled = event(Event.ORDER_CANCELLED)
    told = f"order-cancelled:{cancelled.ids['orderId']}"
    await handlers.on_event(PostgresStore(notification), cancelled)
    await notification.execute("UPDATE deliveries SET status = 'dead', attempts = 15, decided_at = now()")
    campaign = {"campaign": "spring", "eventId": "event-1", "subscriberIds": ["anna", "anna", "bob"]}
    for headers in ({"Authorization": "anna"}, {"Authorization": "anna organiser"}):
        assert (await client.get("/deliveries/dead", headers=headers)).status_code == 403
        assert (await client.post(f"/deliveries/{told}/requeue", headers=headers)).status_code == 403
        assert (await client.post("/campaigns", json=campaign, headers=headers)).status_code == 403
    platform = {"Authorization": "operator platform"}
    dead = (await client.get("/deliveries/dead", headers=platform)).json()
    assert [(each["transactionId"], each["attempts"]) for each in dead] == [(told, 15)]
    for _ in range(2):
        answer = await client.post(f"/deliveries/{told}/requeue", headers=platform)
        assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    await notification.execute("UPDATE deliveries SET status = 'delivered'")
    assert (await client.post(f"/deliveries/{told}/requeue", headers=platform)).status_code == 409
    assert (await client.post("/deliveries/nothing/requeue", headers=platform)).status_code == 404
    for queued in (2, 0):
        answer = await client.post("/campaigns", json=campaign, headers=platform)
        assert (answer.status_code, answer.json()) == (202, {"queued": queued})


@pytest.mark.parametrize("tampered", ["body", "secret", "old", "none", "not json", "too much"])
async def test_a_webhook_that_is_not_novus_is_refused(client: httpx.AsyncClient, app: FastAPI, tampered: str) -> None:
    content: object = said("message.delivered", "order-completed:1", "email")
    if tampered == "not json":
        content = "text"
    at = datetime.now(UTC) - timedelta(minutes=10) if tampered == "old" else None
    secret = "whsec_" + "b3RoZXItc2VjcmV0LW9mLXRoZS10ZXN0cw==" if tampered == "secret" else SECRET
    body, headers = signed(content, secret=secret, at=at)
    if tampered == "body":
        body = body.replace(b"delivered", b"failed")
    if tampered == "none":
        headers = {}
    if tampered == "too much":
        body = b"x" * (LARGEST_BYTES + 1)
    answer = await client.post("/webhooks/novu", content=body, headers=headers)
    assert answer.status_code == (413 if tampered == "too much" else 400)
    app.state.webhook_secret = None
    assert (await client.post("/webhooks/novu", content=body, headers=headers)).status_code == 503


@pytest.mark.parametrize("content", ["text", [], {"type": "message.sent"}, {"data": {}}, {"type": 1, "data": {}}])
async def test_what_novu_signed_and_is_no_event_is_refused(client: httpx.AsyncClient, content: object) -> None:
    body, headers = signed(content)
    answer = await client.post("/webhooks/novu", content=body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:problem:invalid-event")


@pytest.mark.parametrize(
    ("asked", "reports", "expected"),
    [
        ("email", {"email": "sent"}, "sent"),
        ("email", {"email": "failed"}, "failed"),
        ("email push", {"email": "failed"}, "sent"),
        ("email push", {"email": "failed", "push": "failed"}, "failed"),
        ("email push", {"email": "failed", "push": "delivered"}, "delivered"),
        ("", {"email": "failed"}, "failed"),
    ],
)
def test_a_delivery_is_what_its_channels_make_of_it(asked: str, reports: dict[str, str], expected: str) -> None:
    known = {Channel(channel): Report(report) for channel, report in reports.items()}
    assert domain.reported([Channel(channel) for channel in asked.split()], known) is Status(expected)


@pytest.mark.parametrize("order", list(permutations(["sent", "failed", "delivered"])))
async def test_reports_in_any_order_and_again_come_to_the_same(
    client: httpx.AsyncClient, notification: asyncpg.Pool, sender: Sender, novu: Novu, order: tuple[str, ...]
) -> None:
    cancelled = event(Event.ORDER_CANCELLED)
    told = f"order-cancelled:{cancelled.ids['orderId']}"
    await handlers.on_event(PostgresStore(notification), cancelled)
    requests = [signed(said(f"message.{kind}", told, "email")) for kind in order]
    # The first comes before the sender has marked the delivery as sent.
    for body, headers in [requests[0], *requests[:1]]:
        assert (await client.post("/webhooks/novu", content=body, headers=headers)).json() == {"received": True}
    assert await status(notification, told) == "pending"
    await sender.pass_once()
    for body, headers in requests * 2:
        await client.post("/webhooks/novu", content=body, headers=headers)
    assert await status(notification, told) == "delivered"
    feed = await client.get("/notifications", headers={"Authorization": cancelled.ids["buyerId"]})
    assert [(entry["type"], entry["status"]) for entry in feed.json()] == [("order.cancelled", "delivered")]
    stranger = await client.get("/notifications", headers={"Authorization": "stranger platform"})
    assert stranger.json() == []
    assert await notification.fetchval("SELECT count(*) FROM inbox WHERE consumer = 'notification.reports'") == 3


async def test_what_is_no_report_of_ours_is_received_and_changes_nothing(
    client: httpx.AsyncClient, notification: asyncpg.Pool
) -> None:
    contents: list[object] = [
        said("message.seen", "order-completed:1", "email"),
        said("message.sent", "order-completed:unknown", "email"),
        {"type": "workflow.updated", "data": {"object": {"name": "x"}}},
        {"type": "message.sent", "data": {}},
        said("message.sent", "a\x00b", "email"),
        said("message.sent", "x" * 300, "email"),
        {"type": "message.sent", "data": {"object": {"transactionId": "order-completed:1", "channel": ["email"]}}},
    ]
    for content in contents:
        body, headers = signed(content)
        assert (await client.post("/webhooks/novu", content=body, headers=headers)).status_code == 200
    assert await notification.fetchval("SELECT count(*) FROM reports") == 0


async def test_a_dead_delivery_that_arrived_after_all_is_delivered(
    client: httpx.AsyncClient, notification: asyncpg.Pool
) -> None:
    cancelled = event(Event.ORDER_CANCELLED)
    told = f"order-cancelled:{cancelled.ids['orderId']}"
    await handlers.on_event(PostgresStore(notification), cancelled)
    await notification.execute("UPDATE deliveries SET status = 'dead', decided_at = now()")
    body, headers = signed(said("message.sent", told, "chat", error={"message": "no such channel"}))
    await client.post("/webhooks/novu", content=body, headers=headers)
    assert await status(notification, told) == "failed", "chat says its failures as message.sent with an error"
    body, headers = signed(said("message.delivered", told, "email"))
    await client.post("/webhooks/novu", content=body, headers=headers)
    assert await status(notification, told) == "delivered"


async def test_novus_own_webhooks_reach_the_delivery_doubled_and_backwards(
    app: FastAPI, notification: asyncpg.Pool, sender: Sender, novu: Novu
) -> None:
    port = processes.free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())
    try:
        await novu.report_to(f"http://127.0.0.1:{port}/webhooks/novu", SECRET, duplicates=2, reorder=True)
        await novu.fail(channels=["push"])
        cancelled = event(Event.ORDER_CANCELLED)
        await handlers.on_event(PostgresStore(notification), cancelled)
        while not server.started:
            await asyncio.sleep(0.01)
        await sender.pass_once()
        told = f"order-cancelled:{cancelled.ids['orderId']}"
        async with asyncio.timeout(20):
            while await notification.fetchval("SELECT count(*) FROM inbox WHERE consumer = 'notification.reports'") < 5:
                await asyncio.sleep(0.02)
        assert await status(notification, told) == "delivered"
        reports = await notification.fetch("SELECT channel, report FROM reports ORDER BY 1")
        assert [tuple(row) for row in reports] == [
            ("email", "delivered"), ("in_app", "delivered"), ("push", "failed"),
        ]  # fmt: skip
    finally:
        server.should_exit = True
        await serving
