"""The control endpoint, on loopback only.

``/faults``: arm, list and clear faults (``POST``, ``GET``, ``DELETE``). ``/orphans``: remove what was made for a stack
and is not in the state that the caller sends (``POST``), or take everything made so far as recorded (``DELETE``).
``/targets``: how the targets of a load balancer's group are (``PUT``).
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, ValidationError

from scripts.local.cloud.balancers import Told
from scripts.local.cloud.faults import Drift
from scripts.local.cloud.journal import Journal, Known, Leftover
from scripts.local.cloud.session import CloudError, Session


class _Whose(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str
    stack: str


class _Recorded(_Whose):
    recorded: frozenset[Known]


def control_app(session: Session, region: str, journal: Journal) -> Flask:
    """A small web application over the session's faults and the journal."""
    app = Flask("control")

    @app.errorhandler(ValidationError)
    def wrong(error: ValidationError) -> tuple[Response, int]:
        return jsonify(errors=[f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]), 400

    @app.post("/faults")
    def arm() -> tuple[Response, int]:
        fault = session.faults.arm(request.get_json(force=True))
        if isinstance(fault, Drift):
            session.faults.disarm(fault.id)
            try:
                answer = session.call(fault.service, fault.method, fault.parameters, fault.region or region)
            except CloudError as error:
                return jsonify(errors=[str(error)]), 400
            return jsonify(answer={key: str(value) for key, value in answer.items()}), 200
        return jsonify(fault.model_dump()), 201

    @app.get("/faults")
    def armed() -> Any:
        return jsonify(session.faults.armed())

    @app.delete("/faults")
    def clear() -> tuple[str, int]:
        session.faults.clear()
        return "", 204

    @app.put("/targets")
    def tell() -> tuple[str, int]:
        Told.model_validate(request.get_json(force=True)).keep()
        return "", 204

    @app.post("/orphans")
    def remove() -> tuple[Response, int]:
        asked = _Recorded.model_validate(request.get_json(force=True))
        try:
            return jsonify(removed=journal.remove_orphans(asked.project, asked.stack, asked.recorded)), 200
        except Leftover as error:
            return jsonify(errors=[str(error)]), 409

    @app.delete("/orphans")
    def settle() -> tuple[str, int]:
        asked = _Whose.model_validate(request.get_json(force=True))
        journal.settle(asked.project, asked.stack)
        return "", 204

    return app
