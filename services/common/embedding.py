"""A dashboard for one organiser, to be shown in a page of ours: a link that Metabase takes for a few minutes."""

from __future__ import annotations

from joserfc import jwt
from joserfc.jwk import OctKey

# Seconds in which the page has to load; the dashboard that it has loaded stays.
LIFETIME = 300


class NobodysFigures(ValueError):
    """A link without an organiser would show what Metabase makes of an empty name."""


def link(base: str, dashboard: int, organiser: str, key: str, *, now: int) -> str:
    """The address of ``dashboard`` with the figures of ``organiser`` alone, signed with the embedding key.

    Raises NobodysFigures without an organiser.
    """
    if not organiser:
        raise NobodysFigures("organiser is empty; a dashboard is somebody's: pass the subject of the caller's token")
    claims = {"resource": {"dashboard": dashboard}, "params": {"organiser": organiser}, "exp": now + LIFETIME}
    # Symmetric, because Metabase knows no other (its documentation, "Static embedding").
    token = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(key))
    return f"{base.rstrip('/')}/embed/dashboard/{token}#bordered=false&titled=false"
