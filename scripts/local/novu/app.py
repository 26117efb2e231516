"""The HTTP side of the local Novu (docs.novu.co/api-reference/events/trigger-event)."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def create_app(state: Path | None = None) -> Starlette:
    """The application; ``state`` is a JSON file that outlives it."""
    delivered: dict[str, dict[str, Any]] = json.loads(state.read_text()) if state and state.exists() else {}
    failing = {"count": 0, "status": 503}
    triggers = {"count": 0}

    async def trigger(request: Request) -> Response:
        if not request.headers.get("authorization", "").startswith("ApiKey "):
            return JSONResponse({"statusCode": 401, "message": "Send `Authorization: ApiKey …`."}, 401)
        triggers["count"] += 1
        if failing["count"] > 0:
            failing["count"] -= 1
            return JSONResponse({"statusCode": failing["status"], "message": "failing on request"}, failing["status"])
        body = json.loads(await request.body())
        if not body.get("name") or not body.get("to"):
            return JSONResponse({"statusCode": 422, "message": "`name` and `to` are required."}, 422)
        transaction = body.get("transactionId") or f"txn_{secrets.token_hex(12)}"
        delivered.setdefault(
            transaction,
            {
                "transactionId": transaction,
                "workflow": body["name"],
                "to": body["to"],
                "payload": body.get("payload", {}),
                "deliveredAt": time.time(),
            },
        )
        if state is not None:
            draft = state.with_suffix(".draft")
            draft.write_text(json.dumps(delivered))
            draft.rename(state)
        answer = {"acknowledged": True, "status": "processed", "transactionId": transaction}
        return JSONResponse({"data": answer, **answer}, 201)

    async def messages(_: Request) -> Response:
        return JSONResponse({"delivered": list(delivered.values()), "triggers": triggers["count"]})

    async def fail(request: Request) -> Response:
        wanted = json.loads(await request.body() or b"{}")
        if set(wanted) - {"count", "status"} or not all(isinstance(value, int) for value in wanted.values()):
            return JSONResponse({"message": 'Send {"count": n, "status": 503}: the next n triggers fail.'}, 400)
        failing.update(wanted)
        return JSONResponse(failing)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive", "delivered": len(delivered)})

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/v1/events/trigger", trigger, methods=["POST"]),
            Route("/_local/delivered", messages),
            Route("/_local/failures", fail, methods=["POST"]),
        ]
    )
