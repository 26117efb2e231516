"""The HTTP side of the local Novu: events (docs.novu.co/api-reference/events/trigger-event), workflows, subscribers."""

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

from scripts.local.novu import webhooks
from scripts.local.novu.workflows import Invalid, Workflows, channels

# After which a trigger is answered with an error though it was carried out: the answer is lost.
_AFTER = "after"


class Novu:
    """The state and the endpoints; ``state`` is a JSON file that outlives it."""

    def __init__(self, state: Path | None = None) -> None:
        kept = json.loads(state.read_text()) if state and state.exists() else {}
        self._state = state
        self.delivered: dict[str, dict[str, Any]] = kept.get("delivered", {})
        self.subscribers: dict[str, dict[str, Any]] = kept.get("subscribers", {})
        self._workflows: dict[str, dict[str, Any]] = kept.get("workflows", {})
        self.workflows = Workflows(self._workflows)
        self.webhooks = webhooks.Sender()
        self.failing: dict[str, Any] = {"count": 0, "status": 503, "when": "before", "channels": []}
        self.triggers = 0

    def _save(self) -> None:
        if self._state is not None:
            kept = {"delivered": self.delivered, "subscribers": self.subscribers, "workflows": self._workflows}
            draft = self._state.with_suffix(".draft")
            draft.write_text(json.dumps(kept))
            draft.rename(self._state)

    async def trigger(self, request: Request) -> Response:
        """Take a trigger once for each transactionId, and make or change its subscriber."""
        if refused := _unauthorised(request):
            return refused
        self.triggers += 1
        failing = self.failing["count"] > 0
        self.failing["count"] -= failing
        fault = JSONResponse(
            {"statusCode": self.failing["status"], "message": "failing on request"}, self.failing["status"]
        )
        if failing and self.failing["when"] != _AFTER:
            return fault
        body = json.loads(await request.body())
        if not body.get("name") or not body.get("to"):
            return JSONResponse({"statusCode": 422, "message": "`name` and `to` are required."}, 422)
        transaction = body.get("transactionId") or f"txn_{secrets.token_hex(12)}"
        if transaction not in self.delivered:
            self._take(transaction, body)
            self._save()
        if failing:
            return fault
        answer = {"acknowledged": True, "status": "processed", "transactionId": transaction}
        return JSONResponse({"data": answer, **answer}, 201)

    def _take(self, transaction: str, body: dict[str, Any]) -> None:
        to = body["to"] if isinstance(body["to"], dict) else {"subscriberId": body["to"]}
        subscriber, payload = to["subscriberId"], body.get("payload", {})
        self.subscribers[subscriber] = {**self.subscribers.get(subscriber, {}), **to}
        sent_by = channels(self.workflows.find(body["name"]), payload)
        self.delivered[transaction] = {
            "transactionId": transaction,
            "workflow": body["name"],
            "to": body["to"],
            "payload": payload,
            "overrides": body.get("overrides", {}),
            "channels": sent_by,
            "deliveredAt": time.time(),
        }
        self.webhooks.send(webhooks.events(transaction, subscriber, sent_by, failing=self.failing["channels"]))

    async def list_workflows(self, request: Request) -> Response:
        """A page of workflows."""
        if refused := _unauthorised(request):
            return refused
        asked = request.query_params
        page = self.workflows.listed(
            asked.get("query", ""), int(float(asked.get("limit", 50))), int(float(asked.get("offset", 0)))
        )
        return JSONResponse({"data": page, **page})

    async def create_workflow(self, request: Request) -> Response:
        """Make a workflow."""
        body = json.loads(await request.body())
        return _unauthorised(request) or self._put(body.get("workflowId") or "", body, 201)

    async def one_workflow(self, request: Request) -> Response:
        """Read or replace a workflow."""
        name = request.path_params["name"]
        if refused := _unauthorised(request):
            return refused
        found = self.workflows.find(name)
        if found is None:
            return JSONResponse({"statusCode": 404, "message": f"Workflow {name} cannot be found"}, 404)
        if request.method == "PUT":
            return self._put(name, json.loads(await request.body()), 200)
        return JSONResponse({"data": found, **found})

    def _put(self, name: str, body: dict[str, Any], status: int) -> Response:
        try:
            made = self.workflows.put(name, body)
        except Invalid as error:
            return JSONResponse({"statusCode": 400, "message": str(error)}, 400)
        self._save()
        return JSONResponse({"data": made, **made}, status)

    async def subscriber(self, request: Request) -> Response:
        """Show or delete a subscriber."""
        found = self.subscribers.get(request.path_params["name"])
        if found is None:
            return JSONResponse({"statusCode": 404, "message": "Subscriber not found"}, 404)
        if refused := _unauthorised(request):
            return refused
        if request.method == "DELETE":
            return self._erase(request.path_params["name"])
        return JSONResponse({"data": found, **found})

    def _erase(self, name: str) -> Response:
        """Delete a subscriber with his messages, as Novu does; a trigger that fails on request is no other case."""
        if self.failing["count"] > 0:
            self.failing["count"] -= 1
            return JSONResponse({"statusCode": self.failing["status"], "message": "failing"}, self.failing["status"])
        del self.subscribers[name]
        self.delivered = {key: each for key, each in self.delivered.items() if _subscriber(each["to"]) != name}
        self._save()
        answer = {"acknowledged": True, "status": "deleted"}
        return JSONResponse({"data": answer, **answer})

    async def messages(self, _: Request) -> Response:
        """What was taken, and how many triggers there were."""
        return JSONResponse({"delivered": list(self.delivered.values()), "triggers": self.triggers})

    async def fail(self, request: Request) -> Response:
        """Let the next triggers fail, before or after they are carried out, and messages on some channels."""
        wanted = json.loads(await request.body() or b"{}")
        if {key: type(value) for key, value in {**self.failing, **wanted}.items()} != {
            key: type(value) for key, value in self.failing.items()
        }:
            example = '{"count": n, "status": 503, "when": "before" or "after", "channels": ["sms"]}'
            return JSONResponse({"message": f"Send {example}: the next n triggers fail."}, 400)
        self.failing.update(wanted)
        return JSONResponse(self.failing)

    async def webhook(self, request: Request) -> Response:
        """Where reports go, with which secret, how often, and in which order."""
        wanted = json.loads(await request.body())
        self.webhooks.url, self.webhooks.secret = wanted["url"], wanted["secret"]
        self.webhooks.duplicates, self.webhooks.reorder = wanted.get("duplicates", 1), wanted.get("reorder", False)
        return JSONResponse({"url": self.webhooks.url})

    async def healthz(self, _: Request) -> Response:
        """Whether it is alive."""
        return JSONResponse({"status": "alive", "delivered": len(self.delivered)})


def _subscriber(to: Any) -> str:
    return str(to["subscriberId"] if isinstance(to, dict) else to)


def _unauthorised(request: Request) -> Response | None:
    if request.headers.get("authorization", "").startswith("ApiKey "):
        return None
    return JSONResponse({"statusCode": 401, "message": "Send `Authorization: ApiKey …`."}, 401)


def create_app(state: Path | None = None) -> Starlette:
    """The application; ``state`` is a JSON file that outlives it."""
    novu = Novu(state)
    return Starlette(
        routes=[
            Route("/healthz", novu.healthz),
            Route("/v1/events/trigger", novu.trigger, methods=["POST"]),
            Route("/v2/workflows", novu.list_workflows),
            Route("/v2/workflows", novu.create_workflow, methods=["POST"]),
            Route("/v2/workflows/{name}", novu.one_workflow, methods=["GET", "PUT"]),
            Route("/v2/subscribers/{name}", novu.subscriber, methods=["GET", "DELETE"]),
            Route("/_local/delivered", novu.messages),
            Route("/_local/failures", novu.fail, methods=["POST"]),
            Route("/_local/webhook", novu.webhook, methods=["POST"]),
        ]
    )
