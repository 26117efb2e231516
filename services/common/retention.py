"""Retention: how long each table keeps its rows, why, and the loop that removes what is older.

A service has one table of rules, `services/<service>/retention.py`; docs/privacy.md repeats them and a test compares. A
pass removes one batch for each rule, oldest first, by an index, and passes over rows that somebody has locked: nobody
waits for it, and several workers share the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

import asyncpg
from prometheus_client import Counter

from services.common import logs
from services.common.loops import every
from services.common.runtime import Loop

log = logs.get(__name__)

# A trickle, whatever has piled up: 100 rows a second of each table, 8.6 million a day, beside which sales go on.
EVERY_SECONDS: Final = 10.0
BATCH: Final = 1_000

REMOVED = Counter(
    "retention_rows_removed_total", "Rows that had been kept for as long as they may be", ["table", "rule"]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Rows of a table that are removed once they are ``age`` old.

    ``statement`` removes up to $2 of those that are older than $1, and selects how many; ``index`` finds them.
    ``least`` is the shortest age that may be set: below it something would break.
    """

    name: str
    table: str
    rows: str
    age: timedelta
    least: timedelta
    why: str
    index: str
    statement: str


@dataclass(frozen=True, slots=True)
class Kept:
    """Tables that no age empties: until when they are kept, and why."""

    tables: tuple[str, ...]
    until: str
    why: str


def removing(table: str, key: str, since: str, *, only: str = "true") -> str:
    """The statement of a rule that removes the rows of ``table`` that are old by the column ``since``, and ``only``
    those.
    """
    return f"""WITH old AS (SELECT {key} FROM {table} WHERE {since} < now() - $1::interval AND {only}
                            ORDER BY {since} LIMIT $2 FOR UPDATE SKIP LOCKED),
                    gone AS (DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM old) RETURNING 1)
               SELECT count(*) FROM gone"""


DAY: Final = timedelta(days=1)
# What every service has.
MESSAGING: Final = (
    Rule(
        name="outbox",
        table="outbox",
        rows="messages that were sent",
        age=7 * DAY,
        least=timedelta(hours=1),
        why="to look into what was said lately; each names a person, and its consumers have it",
        index="outbox_sent",
        statement=removing("outbox", "id", "published_at"),
    ),
    Rule(
        name="inbox",
        table="inbox",
        rows="messages that were received, with what they came to",
        age=90 * DAY,
        least=14 * DAY,
        why="a message that comes again is known by its row: SQS and dead letters keep one for 14 days, "
        "Step Functions an execution for 90",
        index="inbox_received",
        statement=removing("inbox", "consumer, message_id", "received_at"),
    ),
    Rule(
        name="saga_tokens",
        table="inbox",
        rows="task tokens of steps that were answered; the rows stay",
        age=DAY,
        least=timedelta(hours=1),
        why="whoever has a token may answer its step; answered once, it is of no use",
        index="inbox_tokens",
        statement="""WITH old AS (SELECT consumer, message_id FROM inbox
                                  WHERE task_token IS NOT NULL AND received_at < now() - $1::interval
                                    AND answered_at < now() - $1::interval
                                  ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED),
                          gone AS (UPDATE inbox i SET task_token = NULL FROM old
                                   WHERE i.consumer = old.consumer AND i.message_id = old.message_id RETURNING 1)
                     SELECT count(*) FROM gone""",
    ),
    Rule(
        name="erased_people",
        table="erased_people",
        rows="digests of the ids of people who were erased",
        age=365 * DAY,
        least=90 * DAY,
        why="a late message about somebody who was erased is dropped; Step Functions has an execution for 90 days",
        index="erased_people_at",
        statement=removing("erased_people", "person", "erased_at"),
    ),
)
IDEMPOTENCY: Final = Rule(
    name="idempotency_keys",
    table="idempotency_keys",
    rows="keys of requests, with the answers",
    age=2 * DAY,
    least=DAY,
    why="a client that repeats a request does so within a day; Stripe, too, forgets its keys after 24 hours",
    index="idempotency_keys_created",
    statement=removing("idempotency_keys", "principal, key", "created_at"),
)
ALWAYS: Final = Kept(("alembic_version",), "as long as the database", "the schema's own version")


def checked(rules: Sequence[Rule], ages: Mapping[str, timedelta]) -> Mapping[str, timedelta]:
    """Ages that replace those of ``rules``. Raises ValueError for one that is too short, or of no rule."""
    least = {rule.name: rule.least for rule in rules}
    for name, age in ages.items():
        if name not in least:
            raise ValueError(f"{name!r} is no rule: the rules are {', '.join(least)}; correct or remove it")
        if age < least[name]:
            raise ValueError(f"{name!r} must be kept for {least[name]} at least, not {age}; see docs/privacy.md")
    return ages


@dataclass(frozen=True, slots=True)
class Retention:
    """Carries out rules; ``ages`` replaces theirs."""

    pool: asyncpg.Pool
    rules: Sequence[Rule]
    ages: Mapping[str, timedelta]

    async def pass_once(self, *, batch: int = BATCH) -> Mapping[str, int]:
        """Remove up to ``batch`` rows for each rule, each in a transaction of its own; returns how many."""
        removed: dict[str, int] = {}
        for rule in self.rules:
            removed[rule.name] = await self.pool.fetchval(rule.statement, self.ages.get(rule.name, rule.age), batch)
            REMOVED.labels(rule.table, rule.name).inc(removed[rule.name])
        if any(removed.values()):
            log.info("rows removed", **{name: count for name, count in removed.items() if count})
        return removed

    def loop(self) -> Loop:
        """The loop of a worker."""

        async def work() -> None:
            await self.pass_once()

        return partial(every, "retention", work, EVERY_SECONDS)
