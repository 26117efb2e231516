"""What is common to the webhooks of all providers: their signature is over the raw body."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import Request
from pydantic import BaseModel

from services.common.bodies import Body
from services.common.openapi import SCHEMAS
from services.common.problems import Problem


class Received(Body):
    """The webhook was taken, whatever it was about."""

    received: Literal[True] = True


# Events are a few kilobytes; more is not one.
LARGEST_BYTES = 256 * 1024


async def raw_body(request: Request) -> bytes:
    """The body as it was signed, read no further than LARGEST_BYTES. Raises Problem 413."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BYTES:
            raise Problem(413, "too-large", f"A webhook has at most {LARGEST_BYTES} bytes.")
    return bytes(body)


def described(body: type[BaseModel], *headers: str) -> dict[str, Any]:
    """The `openapi_extra` argument of a route that verifies a signature before it reads ``body``."""
    signed = [{"name": name, "in": "header", "required": True, "schema": {"type": "string"}} for name in headers]
    schema = body.model_json_schema(ref_template=f"{SCHEMAS}{{model}}")
    return {
        "parameters": signed,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
    }
