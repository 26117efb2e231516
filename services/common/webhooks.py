"""What is common to the webhooks of all providers: their signature is over the raw body."""

from __future__ import annotations

from fastapi import Request

from services.common.problems import Problem

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
