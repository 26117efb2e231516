"""Idempotency keys of an API: unique on (principal, key), with the body's hash, the stored response and a lease."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import asyncpg
from fastapi import Header

from services.common.problems import Kind, Problem

LEASE_SECONDS = 30.0

# Required: without a key, a client that repeats a request whose answer was lost would act twice.
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=128,
        pattern="^[A-Za-z0-9._:-]+$",
        description="Made by the client for each thing it wants once; the same key and request get the same answer.",
    ),
]
# What `once` may answer beside its work.
ONCE: Final[tuple[Kind, ...]] = ((409, "request-in-flight"), (422, "idempotency-key-reused"))


@dataclass(frozen=True, slots=True)
class Stored:
    """A response, as stored and as repeated."""

    status: int
    body: dict[str, Any]


Work = Callable[[asyncpg.Connection], Awaitable[Stored]]


def digest(operation: str, body: Any) -> bytes:
    """SHA-256 of the operation and its canonical JSON."""
    return hashlib.sha256(f"{operation}\n{json.dumps(body, sort_keys=True)}".encode()).digest()


async def once(pool: asyncpg.Pool, principal: str, key: str, body_hash: bytes, work: Work) -> Stored:
    """Run ``work`` in a transaction that also stores its response, or repeat the stored one.

    Raises Problem 422 for a key used with another body, 409 while the first request is in flight. When ``work`` raises,
    the key is free again; when the process dies, it is after LEASE_SECONDS.
    """
    token = uuid.uuid4()
    stored = await _claim(pool, principal, key, body_hash, token)
    if stored is not None:
        return stored
    try:
        async with pool.acquire() as connection, connection.transaction():
            response = await work(connection)
            done = await connection.execute(
                """UPDATE idempotency_keys SET status = $4, response = $5, lease_token = NULL
                   WHERE principal = $1 AND key = $2 AND lease_token = $3""",
                principal,
                key,
                token,
                response.status,
                response.body,
            )
            if done != "UPDATE 1":
                raise _in_flight()
            return response
    except BaseException:
        await pool.execute(
            "DELETE FROM idempotency_keys WHERE principal = $1 AND key = $2 AND lease_token = $3", principal, key, token
        )
        raise


async def _claim(pool: asyncpg.Pool, principal: str, key: str, body_hash: bytes, token: uuid.UUID) -> Stored | None:
    mine = await pool.fetchval(
        """INSERT INTO idempotency_keys AS k (principal, key, body_hash, lease_token, lease_until)
           VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second')
           ON CONFLICT (principal, key) DO UPDATE SET lease_token = EXCLUDED.lease_token, lease_until =
           EXCLUDED.lease_until WHERE k.status IS NULL AND k.lease_until < now() AND k.body_hash = EXCLUDED.body_hash
           RETURNING true""",
        principal,
        key,
        body_hash,
        token,
        LEASE_SECONDS,
    )
    if mine:
        return None
    row = await pool.fetchrow(
        "SELECT body_hash, status, response FROM idempotency_keys WHERE principal = $1 AND key = $2", principal, key
    )
    if row is not None and row["body_hash"] != body_hash:
        raise Problem(
            422, "idempotency-key-reused", "This Idempotency-Key was used with another request; use a new one."
        )
    if row is None or row["status"] is None:
        raise _in_flight()
    return Stored(row["status"], row["response"])


def _in_flight() -> Problem:
    return Problem(
        409, "request-in-flight", "A request with this Idempotency-Key is in flight.", headers={"Retry-After": "1"}
    )
