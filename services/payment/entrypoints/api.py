"""`python -m services.payment.entrypoints.api`: Stripe's webhooks, and the state of payments."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

import httpx
import stripe
from fastapi import APIRouter, FastAPI, Query, Request, Response
from pydantic import Field, ValidationError

from services.common import database, logs, runtime
from services.common.auth import PLATFORM, Authenticator, Caller
from services.common.bodies import Body, Moment
from services.common.problems import FORBIDDEN, NOT_FOUND, Problem, documented
from services.common.settings import load_or_exit
from services.common.webhooks import Received, described, raw_body
from services.payment.adapters import webhooks
from services.payment.adapters.books import PostgresPayouts
from services.payment.adapters.store import PostgresStore
from services.payment.settings import ApiSettings

log = logs.get(__name__)
router = APIRouter(tags=["payment"])


class PaymentView(Body):
    """A payment; ``amount`` in minor units."""

    order_id: uuid.UUID
    attempt: int
    status: str
    amount: int
    currency: str
    reason: str | None
    client_secret: str | None = Field(
        default=None, description="for Stripe.js, while the status is action_required; shown to the buyer alone"
    )
    action_deadline: datetime | None = Field(
        default=None, description="the payment is declined when the buyer has not authenticated by then"
    )


class PayoutView(Body):
    """A transfer to an organiser's connected account, or a payout to the platform's bank; amounts in minor units."""

    id: str
    kind: str
    amount: int
    reversed: int
    currency: str
    status: str
    destination: str | None
    created_at: datetime


@router.get("/payments/{order_id}", response_model=PaymentView, responses=documented(NOT_FOUND))
async def show_payment(order_id: uuid.UUID, caller: Caller, request: Request, response: Response) -> Any:
    """The payment of one's own order."""
    payment = await PostgresStore(request.app.state.pool).payment(order_id, 1)
    if payment is None or (payment.buyer_id != caller.id and PLATFORM not in caller.roles):
        raise Problem(404, "not-found", f"You have no payment for order {order_id}.")
    response.headers["Cache-Control"] = "no-store"
    shown = {name: getattr(payment, name) for name in PaymentView.model_fields}
    return shown if payment.buyer_id == caller.id else {**shown, "client_secret": None}


@router.get("/payouts", response_model=list[PayoutView], responses=documented(FORBIDDEN))
async def list_payouts(
    caller: Caller,
    request: Request,
    before: Annotated[Moment | None, Query(description="the createdAt of the last one seen")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Any:
    """What was paid out, the newest first: for the platform's own people."""
    caller.require(PLATFORM)
    return await PostgresPayouts(request.app.state.pool).page(before, limit)


@router.post(
    "/webhooks/stripe",
    response_model=Received,
    responses=documented((400, "invalid-signature"), (400, "invalid-event")),
    openapi_extra=described(webhooks.StripeEvent, "Stripe-Signature"),
)
async def stripe_webhook(request: Request) -> Received:
    """An event of Stripe: the signature of the raw body is verified, its id is kept, the object is fetched again later.

    Idempotency: the event's id. Fails closed without a valid signature; no order of events is relied upon.
    """
    body = await raw_body(request)
    secret: str = request.app.state.webhook_secret
    try:
        # Without its own parsing, which takes any JSON for an event.
        stripe.WebhookSignature.verify_header(
            body, request.headers.get("stripe-signature"), secret, stripe.Webhook.DEFAULT_TOLERANCE
        )
    except (ValueError, TypeError, stripe.SignatureVerificationError):  # not UTF-8; a signature not in ASCII
        raise Problem(400, "invalid-signature", "The Stripe-Signature does not fit this body.") from None
    try:
        event = webhooks.StripeEvent.model_validate_json(body)
    except ValidationError:
        raise Problem(400, "invalid-event", "The body is no event: it needs id, type and data.object.") from None
    new = await webhooks.record(request.app.state.pool, event.id, event.type, *event.data.object.subject())
    log.info("webhook", event_id=event.id, type=event.type, new=new)
    return Received()


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
