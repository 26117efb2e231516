"""The HTTP side of the local Stripe: form bodies in, JSON out; `/_local/...` is for tests and demonstrations."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from scripts.local.stripe.books import ApiError
from scripts.local.stripe.faults import Faults
from scripts.local.stripe.ledger import Ledger
from scripts.local.stripe.webhooks import Deliverer

_MODES = ("", "drop-after", "drop-before", "error-500", "slow")


class Dropped(Exception):
    """The connection is closed without an answer."""


def parameters(encoded: str) -> dict[str, Any]:
    """Stripe's form encoding: ``a[b]=c`` is a mapping, ``a[0]=c`` and ``a[]=c`` are lists."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        head, *rest = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        if not rest:
            tree[head] = value
        elif rest[0] == "" or rest[0].isdigit():
            tree.setdefault(head, []).append(value)
        else:
            tree.setdefault(head, {})[rest[0]] = value
    return tree


def create_app(state: Path | None = None, webhooks: dict[str, str] | None = None) -> Starlette:
    """The application; ``state`` is a JSON file that outlives it, ``webhooks`` maps URLs to signing secrets."""
    ledger, faults = Ledger.load(state), Faults()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        deliverer = Deliverer(faults)
        deliverer.endpoints.update(webhooks or {})
        ledger.on_event = deliverer.announce
        app.state.deliverer = deliverer
        yield
        await deliverer.aclose()

    async def call(request: Request, operation: str, work: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
        if not request.headers.get("authorization", "").startswith(("Bearer sk_", "Basic ")):
            raise ApiError(401, "invalid_request_error", "You did not provide an API key (sk_…).")
        params = parameters((await request.body()).decode())
        fault = faults.take(operation)
        if fault == "drop-before":
            raise Dropped
        if fault == "error-500":
            raise ApiError(500, "api_error", "An error occurred on our end.")
        status, body = ledger.once(
            request.headers.get("idempotency-key"), request.url.path, params, lambda: work(params)
        )
        ledger.save()
        if fault == "slow":
            await asyncio.sleep(faults.seconds)
        if fault == "drop-after":
            raise Dropped
        return JSONResponse(body, status)

    async def create(request: Request) -> Response:
        return await call(request, "create", ledger.create)

    async def act(request: Request) -> Response:
        intent_id, verb = request.path_params["intent"], request.path_params["verb"]
        works = {"confirm": ledger.confirm, "capture": ledger.capture, "cancel": ledger.cancel}
        if verb not in works:
            raise ApiError(404, "invalid_request_error", f"Unrecognized request URL ({request.url.path}).")
        return await call(request, verb, lambda params: works[verb](intent_id, params))

    async def retrieve(request: Request) -> Response:
        return await call(request, "retrieve", lambda _: ledger.retrieve(request.path_params["intent"]))

    async def refund(request: Request) -> Response:
        return await call(request, "refund", ledger.refund)

    async def list_intents(request: Request) -> Response:
        return _page(request, _selected(request, ledger.intents.values()))

    async def list_refunds(request: Request) -> Response:
        return _page(request, _selected(request, ledger.refunds.values()))

    async def list_disputes(request: Request) -> Response:
        return _page(request, _selected(request, ledger.disputes.values()))

    async def transfer(request: Request) -> Response:
        return await call(request, "transfer", ledger.transfer)

    async def payout(request: Request) -> Response:
        return await call(request, "payout", ledger.payout)

    async def retrieve_payout(request: Request) -> Response:
        return await call(request, "retrieve", lambda _: ledger.retrieve_payout(request.path_params["payout"]))

    async def happen(request: Request) -> Response:
        """What the buyer, the buyer's bank or Stripe's own people do."""
        name, what = request.path_params["name"], request.path_params["what"]
        params = json.loads(await request.body() or b"{}")
        happenings: dict[str, Callable[[], dict[str, Any]]] = {
            "authenticate": lambda: ledger.authenticate(name, params),
            "dispute": lambda: ledger.dispute(name, params),
            "end-dispute": lambda: ledger.end_dispute(name, params["status"]),
            "end-refund": lambda: ledger.end_refund(name, params["status"]),
            "change-payout": lambda: ledger.change_payout(name, params),
        }
        if what not in happenings:
            raise ApiError(404, "invalid_request_error", f"Unknown happening {what!r}: one of {sorted(happenings)}.")
        body = happenings[what]()
        ledger.save()
        return JSONResponse(body)

    async def list_events(request: Request) -> Response:
        wanted, found = request.query_params.get("delivery_success"), ledger.events
        if wanted is not None:
            found = [event for event in found if (event["pending_webhooks"] == 0) == (wanted == "true")]
        return _page(request, _selected(request, found))

    async def add_endpoint(request: Request) -> Response:
        params = parameters((await request.body()).decode())
        url, secret = str(params.get("url", "")), str(params.get("secret", "whsec_local"))
        if not url.startswith("http"):
            raise ApiError(400, "invalid_request_error", f"Invalid URL: {url!r}", param="url")
        request.app.state.deliverer.endpoints[url] = secret
        return JSONResponse({"id": f"we_{len(url)}", "object": "webhook_endpoint", "url": url, "secret": secret})

    async def of_order(request: Request) -> Response:
        """Everything about the intents whose metadata name an order."""
        order = request.path_params["order"]
        intents = [i for i in ledger.intents.values() if i["metadata"].get("order_id") == order]
        ids = {intent["id"] for intent in intents}
        return JSONResponse(
            {
                "intents": intents,
                "refunds": [r for r in ledger.refunds.values() if r["payment_intent"] in ids],
                "disputes": [d for d in ledger.disputes.values() if d["payment_intent"] in ids],
            }
        )

    async def set_faults(request: Request) -> Response:
        if request.method == "POST":
            wanted = json.loads(await request.body() or b"{}")
            unknown = set(wanted) - set(faults.as_json())
            if unknown or wanted.get("mode", "") not in _MODES:
                raise ApiError(
                    400,
                    "invalid_request_error",
                    f"Unknown faults {sorted(unknown)} or mode {wanted.get('mode')!r}: a mode is one of {_MODES}.",
                )
            for name, value in wanted.items():
                setattr(faults, name, value)
        return JSONResponse(faults.as_json())

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive", "intents": len(ledger.intents)})

    async def failed(_: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return JSONResponse(error.body, error.status)

    app = Starlette(
        lifespan=lifespan,
        exception_handlers={ApiError: failed},
        routes=[
            Route("/healthz", healthz),
            Route("/v1/payment_intents", create, methods=["POST"]),
            Route("/v1/payment_intents", list_intents),
            Route("/v1/payment_intents/{intent}", retrieve),
            Route("/v1/payment_intents/{intent}/{verb}", act, methods=["POST"]),
            Route("/v1/refunds", refund, methods=["POST"]),
            Route("/v1/refunds", list_refunds),
            Route("/v1/disputes", list_disputes),
            Route("/v1/transfers", transfer, methods=["POST"]),
            Route("/v1/transfers/{payout}", retrieve_payout),
            Route("/v1/payouts", payout, methods=["POST"]),
            Route("/v1/payouts/{payout}", retrieve_payout),
            Route("/v1/events", list_events),
            Route("/v1/webhook_endpoints", add_endpoint, methods=["POST"]),
            Route("/_local/order/{order}", of_order),
            Route("/_local/{what}/{name}", happen, methods=["POST"]),
            Route("/_local/faults", set_faults, methods=["GET", "POST"]),
        ],
    )
    app.add_middleware(_Dropping)
    return app


class _Dropping:
    """Answers a dropped call with a body that is shorter than announced: the server closes the connection, the client
    sees it lost.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        except Dropped:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
            await send({"type": "http.response.body", "body": b"{", "more_body": False})


def _selected(request: Request, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of an intent and of a time, as far as the query asks for them."""
    query = request.query_params
    low, high = int(query.get("created[gte]", 0)), int(query.get("created[lte]", 2**40))
    before, intent = int(query.get("created[lt]", 2**41)), query.get("payment_intent")
    return [
        row
        for row in rows
        if low <= row["created"] <= high and row["created"] < before and intent in (None, row.get("payment_intent"))
    ]


def _page(request: Request, rows: list[dict[str, Any]]) -> Response:
    limit = max(1, min(100, int(request.query_params.get("limit", 10))))
    rows = rows[::-1]
    after = request.query_params.get("starting_after")
    if after is not None:
        ids = [row["id"] for row in rows]
        rows = rows[ids.index(after) + 1 :] if after in ids else []
    body = {"object": "list", "url": request.url.path, "has_more": len(rows) > limit, "data": rows[:limit]}
    return JSONResponse(body)
