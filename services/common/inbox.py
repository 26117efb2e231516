"""The inbox: what was already received, keyed by (consumer, message id), decided in the transaction of its effect."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import asyncpg

from services.contracts import SagaMessage


class StaleLease(RuntimeError):
    """Somebody else took the message over meanwhile: the transaction must be rolled back, nothing may be answered."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command came to: ``output`` (ids) when it is done, else ``error`` (a `Failure`) and ``cause`` for
    people.
    """

    output: dict[str, Any] | None = None
    error: str | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A command that this worker may carry out until its lease ends; ``attempt`` counts from 1."""

    consumer: str
    message_id: str
    token: uuid.UUID
    attempt: int

    async def decide(self, connection: asyncpg.Connection, outcome: Outcome) -> None:
        """Store the outcome, in the transaction of the effect. Raises StaleLease when the lease was lost."""
        done = await connection.execute(
            """UPDATE inbox SET decided_at = now(), output = $4, error = $5, cause = $6, lease_token = NULL
               WHERE consumer = $1 AND message_id = $2 AND lease_token = $3 AND decided_at IS NULL""",
            self.consumer,
            self.message_id,
            self.token,
            outcome.output,
            outcome.error,
            outcome.cause,
        )
        if done != "UPDATE 1":
            raise StaleLease(f"{self.message_id}: the lease was lost to another worker; its outcome stands")


async def first_time(connection: asyncpg.Connection, consumer: str, message_id: str) -> bool:
    """Whether an event is new to ``consumer``; records it in the caller's transaction.

    A duplicate in flight waits here for the first one's commit, so it never runs beside it.
    """
    done = await connection.execute(
        "INSERT INTO inbox (consumer, message_id, decided_at) VALUES ($1, $2, now()) ON CONFLICT DO NOTHING",
        consumer,
        message_id,
    )
    return bool(done == "INSERT 0 1")


async def claim(pool: asyncpg.Pool, consumer: str, message: SagaMessage, *, seconds: float) -> Claim | Outcome | None:
    """Claim a command: a Claim to carry out, the Outcome that was decided before, or None while another worker has it.

    The row keeps the newest task token, which is the one to answer.
    """
    row = await pool.fetchrow(
        """INSERT INTO inbox AS i (consumer, message_id, command, order_id, task_token, lease_token, lease_until,
        attempts) VALUES ($1, $2, $3, $4, $5, $6, now() + $7 * interval '1 second', 1)
           ON CONFLICT (consumer, message_id) DO UPDATE SET
             task_token = EXCLUDED.task_token, lease_token = EXCLUDED.lease_token,
             lease_until = EXCLUDED.lease_until, attempts = i.attempts + 1
           WHERE i.decided_at IS NULL AND (i.lease_token IS NULL OR i.lease_until < now())
           RETURNING lease_token, attempts""",
        consumer,
        message.message_id,
        message.command.value,
        message.order_id,
        message.task_token,
        uuid.uuid4(),
        float(seconds),
    )
    if row is not None:
        return Claim(consumer, message.message_id, row["lease_token"], row["attempts"])
    seen = await pool.fetchrow(
        """UPDATE inbox SET task_token = $3 WHERE consumer = $1 AND message_id = $2
           RETURNING decided_at, output, error, cause""",
        consumer,
        message.message_id,
        message.task_token,
    )
    if seen is None or seen["decided_at"] is None:
        return None
    return Outcome(seen["output"], seen["error"], seen["cause"] or "")


async def token(pool: asyncpg.Pool, consumer: str, message_id: str) -> str | None:
    """The newest task token of a command: the one that the state machine waits for."""
    found: str | None = await pool.fetchval(
        "SELECT task_token FROM inbox WHERE consumer = $1 AND message_id = $2", consumer, message_id
    )
    return found


async def extend(pool: asyncpg.Pool, claim: Claim, *, seconds: float) -> bool:
    """Prolong the lease; False when it was lost."""
    done = await pool.execute(
        """UPDATE inbox SET lease_until = now() + $4 * interval '1 second'
           WHERE consumer = $1 AND message_id = $2 AND lease_token = $3""",
        claim.consumer,
        claim.message_id,
        claim.token,
        float(seconds),
    )
    return bool(done == "UPDATE 1")


async def give_back(pool: asyncpg.Pool, claim: Claim) -> None:
    """End the lease without a decision, so that the next attempt need not wait for it to run out."""
    await pool.execute(
        "UPDATE inbox SET lease_token = NULL WHERE consumer = $1 AND message_id = $2 AND lease_token = $3",
        claim.consumer,
        claim.message_id,
        claim.token,
    )


async def answered(pool: asyncpg.Pool, consumer: str, message_id: str) -> None:
    """Record that the state machine has its answer."""
    await pool.execute(
        "UPDATE inbox SET answered_at = now() WHERE consumer = $1 AND message_id = $2", consumer, message_id
    )
