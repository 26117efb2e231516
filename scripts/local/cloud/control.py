"""The control endpoint: arm, list and clear faults (``POST``, ``GET``, ``DELETE /faults``); loopback only."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify, request
from pydantic import ValidationError

from scripts.local.cloud.faults import Drift
from scripts.local.cloud.session import CloudError, Session


def control_app(session: Session, region: str) -> Flask:
    """A small web application over the session's faults."""
    app = Flask("control")

    @app.post("/faults")
    def arm() -> tuple[Response, int]:
        try:
            fault = session.faults.arm(request.get_json(force=True))
        except ValidationError as error:
            return jsonify(errors=[f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]), 400
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

    return app
