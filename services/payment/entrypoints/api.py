"""`python -m services.payment.entrypoints.api`: Stripe's webhooks, and the state of payments."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import stripe
from fastapi import APIRouter, FastAPI, Request

from services.common import database, logs, runtime
from services.common.auth import PLATFORM, Authenticator, Caller
from services.common.bodies import Body
from services.common.problems import Problem, documented
from services.common.settings import load_or_exit
from services.payment.adapters import webhooks
from services.payment.adapters.store import PostgresStore
from services.payment.settings import ApiSettings

log = logs.get(__name__)
router = APIRouter(tags=["payment"])
# Stripe's events are a few kilobytes; more is not Stripe.
LARGEST_WEBHOOK = 256 * 1024


class PaymentView(Body):
    """A payment; ``amount`` in minor units."""

    order_id: uuid.UUID
    attempt: int
    status: str
    amount: int
    currency: str
    reason: str | None


@router.get("/payments/{order_id}", response_model=PaymentView, responses=documented(401, 404, 422, 503))
async def show_payment(order_id: uuid.UUID, caller: Caller, request: Request) -> Any:
    """The payment of one's own order."""
    payment = await PostgresStore(request.app.state.pool).payment(order_id, 1)
    if payment is None or (payment.buyer_id != caller.id and PLATFORM not in caller.roles):
        raise Problem(404, "not-found", f"You have no payment for order {order_id}.")
    return {name: getattr(payment, name) for name in PaymentView.model_fields}


@router.post("/webhooks/stripe", responses=documented(400, 413))
async def stripe_webhook(request: Request) -> dict[str, bool]:
    """An event of Stripe: the signature of the raw body is verified, its id is kept, the object is fetched again later.

    Idempotency: the event's id. Fails closed without a valid signature; no order of events is relied upon.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_WEBHOOK:
            raise Problem(413, "too-large", f"A webhook has at most {LARGEST_WEBHOOK} bytes.")
    secret: str = request.app.state.webhook_secret
    try:
        event = stripe.Webhook.construct_event(bytes(body), request.headers.get("stripe-signature", ""), secret)
    except (ValueError, stripe.SignatureVerificationError):
        raise Problem(400, "invalid-signature", "The Stripe-Signature does not fit this body.") from None
    found = event["data"]["object"].to_dict()
    intent_id = found.get("id") if found.get("object") == "payment_intent" else found.get("payment_intent")
    new = await webhooks.record(request.app.state.pool, event["id"], event["type"], intent_id)
    log.info("webhook", event_id=event["id"], type=event["type"], new=new)
    return {"received": True}


def create_app(settings: ApiSettings | None = None) -> FastAPI:
    """The application; settings come from the environment unless given."""
    known = settings or load_or_exit(ApiSettings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        url = known.database_url.get_secret_value()
        async with database.pool(url, size=known.database_pool_size) as pool, httpx.AsyncClient(timeout=5) as client:
            app.state.pool = pool
            app.state.webhook_secret = known.stripe_webhook_secret.get_secret_value()
            app.state.authenticator = Authenticator(known, client)
            app.include_router(runtime.health({"database": lambda: pool.fetchval("SELECT 1")}))
            yield

    app = runtime.application("Payment", lifespan, description="Stripe's webhooks, and the state of payments.")
    app.include_router(router)
    return app


def main() -> None:
    """Serve until SIGTERM."""
    settings = load_or_exit(ApiSettings)
    runtime.serve("payment", settings, create_app(settings))


if __name__ == "__main__":
    main()
