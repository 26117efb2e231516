"""Erasure (GDPR, article 17): who was erased stays so, whatever arrives late.

A service keeps a digest of the person's id, by which it knows a late message, and nothing that leads from the id to the
pseudonym under which its accounts go on.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from typing import Final

import asyncpg

from services.common.problems import Kind, Problem

# What a person who was erased may be answered.
ERASED: Final[Kind] = (409, "erased")
_PREFIX: Final = "erased:"
# What a service writes where something that leads to the person was: a way to pay, a buyer of whom nothing was known.
NOTHING: Final = "erased:nothing"


def pseudonym() -> str:
    """A name for what must be kept: random, so that nobody can compute it, and the same in every service."""
    return f"{_PREFIX}{uuid.uuid4()}"


def is_pseudonym(person: str) -> bool:
    """Whether it names somebody who was erased."""
    return person.startswith(_PREFIX)


async def erase_once(connection: asyncpg.Connection, person: str) -> bool:
    """Mark a person as erased, in the caller's transaction; False when it was so already.

    Waits for those who write about the person, and keeps them waiting until the transaction ends.
    """
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 17))", person)
    done = await connection.execute(
        "INSERT INTO erased_people (person) VALUES ($1) ON CONFLICT DO NOTHING", _digest(person)
    )
    return bool(done == "INSERT 0 1")


async def remaining(connection: asyncpg.Connection, people: Iterable[str]) -> set[str]:
    """Those of ``people`` who may be written about: nobody erases them until the caller's transaction ends."""
    asked = sorted({person for person in people if not is_pseudonym(person)})
    # A statement of its own: the one that looks must see what was committed while this one waited.
    await connection.execute(
        "SELECT pg_advisory_xact_lock_shared(hashtextextended(person, 17)) FROM unnest($1::text[]) AS person", asked
    )
    rows = await connection.fetch(
        "SELECT person FROM erased_people WHERE person = ANY($1)", [_digest(person) for person in asked]
    )
    erased = {row["person"] for row in rows}
    return {person for person in asked if _digest(person) not in erased}


async def require(connection: asyncpg.Connection, person: str) -> None:
    """Raises Problem 409 for somebody who was erased and whose token is still good."""
    if not await remaining(connection, [person]):
        raise Problem(*ERASED, "Your data was erased at your wish; sign in anew to begin again.")


def _digest(person: str) -> bytes:
    """Ids are random (RFC 9562: 122 bits): nobody finds one by trying."""
    return hashlib.sha256(person.encode()).digest()
