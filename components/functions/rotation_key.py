"""Turns a key over that nobody but its holders knows: an API key, a password of a set-up job, a key that signs.

No store is asked. A secret has three values: ``key`` is in use, ``next`` will be, ``previous`` was. Whoever checks keys
is told of the next one long before (the set-up jobs do so every hour), so that it is known when it comes into use; and
whoever has one of its own goes on with the previous until it was told of the current.
"""

from __future__ import annotations

from typing import Any

import boto3

from components.functions import rotation
from components.functions.rotation import Secret

_SHORTEST = 24


class Key:
    """Three values that move up."""

    def following(self, current: Secret, password: str) -> Secret:
        return {**current, "previous": current["key"], "key": current["next"], "next": password}

    def grant(self, current: Secret, pending: Secret) -> None:
        """Nobody is asked: the next key was told to its checkers when it was drawn."""

    def try_out(self, pending: Secret) -> None:
        drawn = [pending[name] for name in ("key", "next")]
        if len(set(drawn)) != len(drawn) or min(map(len, drawn)) < _SHORTEST:
            raise rotation.NotRotatable(
                f"the current and the next key are the same, or shorter than {_SHORTEST}: write two different ones"
            )


def handler(event: dict[str, Any], _context: object) -> None:
    """What Secrets Manager calls."""
    rotation.rotate(event, Key(), boto3.client("secretsmanager"))
