"""The routes of notification. Everything but the platform's own is about the caller: there is no id to try."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import SecretStr

from services.common import logs
from services.common.auth import PLATFORM, Caller
from services.common.erasure import ERASED
from services.common.problems import FORBIDDEN, NOT_FOUND, Problem, documented
from services.common.webhooks import Received, described, raw_body
from services.notification import handlers
from services.notification.adapters import webhooks
from services.notification.adapters.store import PostgresStore
from services.notification.adapters.subscribers import PostgresSubscribers
from services.notification.domain import Status, TransactionId
from services.notification.entrypoints.bodies import (
    Campaign,
    DeadDelivery,
    Entry,
    PreferencesBody,
    Queued,
    Requeued,
    shown,
)

log = logs.get(__name__)
router = APIRouter(tags=["notification"])


@router.get("/notifications", response_model=list[Entry])
async def show_feed(caller: Caller, request: Request) -> Any:
    """The newest hundred entries of one's own feed."""
    return await PostgresStore(request.app.state.pool).feed(caller.id)


@router.get("/preferences", response_model=PreferencesBody)
async def show_preferences(caller: Caller, request: Request) -> PreferencesBody:
    """One's own preferences, defaults included."""
    return shown(await PostgresSubscribers(request.app.state.pool).preferences(caller.id))


@router.put(
    "/preferences",
    response_model=PreferencesBody,
    responses=documented(ERASED, (422, "tickets-need-a-channel"), (422, "quiet-hours-without-end")),
)
async def replace_preferences(caller: Caller, body: PreferencesBody, request: Request) -> PreferencesBody:
    """Replace one's own preferences. Idempotent; tickets keep at least one channel."""
    wanted = body.preferences()
    await PostgresSubscribers(request.app.state.pool).save(caller.id, wanted)
    return shown(wanted)


@router.get("/deliveries/dead", response_model=list[DeadDelivery], responses=documented(FORBIDDEN))
async def show_dead(caller: Caller, request: Request) -> Any:
    """The latest hundred deliveries that were given up; for role platform."""
    caller.require(PLATFORM)
    return await PostgresStore(request.app.state.pool).dead(100)


@router.post(
    "/deliveries/{transaction_id}/requeue",
    response_model=Requeued,
    responses=documented(FORBIDDEN, NOT_FOUND, (409, "not-dead")),
)
async def requeue_delivery(transaction_id: TransactionId, caller: Caller, request: Request) -> Requeued:
    """Put a dead delivery back into the queue; for role platform. Safe to repeat."""
    caller.require(PLATFORM)
    status = await handlers.requeue(PostgresStore(request.app.state.pool), transaction_id)
    if status is None:
        raise Problem(404, "not-found", f"There is no delivery {transaction_id}.")
    if status not in (Status.PENDING, Status.SENDING):
        raise Problem(409, "not-dead", f"Delivery {transaction_id} is {status.value}; only a dead one can be put back.")
    return Requeued(transaction_id=transaction_id, status=status)


@router.post("/campaigns", status_code=202, response_model=Queued, responses=documented(FORBIDDEN))
async def announce(caller: Caller, body: Campaign, request: Request) -> Queued:
    """Make an event known to those of the subscribers who opted in; for role platform.

    Idempotency: campaign and subscriber, so a list may be sent in pieces and again.
    """
    caller.require(PLATFORM)
    store = PostgresStore(request.app.state.pool)
    return Queued(queued=await handlers.announce(store, body.campaign, body.event_id, body.subscriber_ids))


@router.post(
    "/webhooks/novu",
    response_model=Received,
    responses=documented((400, "invalid-signature"), (400, "invalid-event"), (503, "not-configured")),
    openapi_extra=described(webhooks.NovuEvent, "svix-id", "svix-timestamp", "svix-signature"),
)
async def novu_webhook(request: Request) -> Received:
    """What became of a message: the signature of the raw body is verified, then the report is kept.

    Idempotency: the webhook's id. Fails closed without a valid signature; no order of webhooks is relied upon.
    """
    secret: SecretStr | None = request.app.state.webhook_secret
    if secret is None:
        raise Problem(503, "not-configured", "NOVU_WEBHOOK_SECRET is not set, so no webhook can be verified.")
    body = await raw_body(request)
    try:
        webhooks.verify(secret.get_secret_value(), request.headers, body)
        said = webhooks.report(body)
    except webhooks.Forged as error:
        raise Problem(400, "invalid-signature", "The signature does not match the body.") from error
    except webhooks.NoEvent as error:
        raise Problem(400, "invalid-event", f"The body is no event: {error}.") from error
    if said is not None:
        transaction_id, channel, report = said
        store = PostgresStore(request.app.state.pool)
        await handlers.on_report(store, request.headers["svix-id"], transaction_id, channel, report)
    return Received()
