"""What a preview's own things are called inside the stores that it shares. Pure: the stack and the function agree.

Every name begins with ``preview`` and the preview's own name, and ends with a service's: no two previews can have one
in common, whatever they are called, and nothing of the environment begins that way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# PostgreSQL keeps 63 characters of a name, ElastiCache 40 of a user's; a DNS label has no dot.
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
LONGEST = 20


def check(name: str) -> str:
    """``name``, if a preview may be called that. Raises ValueError."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise ValueError(
            f"{name!r} is no name for a preview; it has small letters, digits and single hyphens, starts with a letter "
            f"and has {LONGEST} characters at most: take pr-12, or something like new-seat-map"
        )
    return name


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the preview called ``preview``."""

    preview: str

    def __post_init__(self) -> None:
        check(self.preview)

    def database(self, service: str) -> str:
        """Its database on the service's instance."""
        return f"preview_{self.preview.replace('-', '_')}_{service}"

    def owner(self, service: str) -> str:
        """Who owns that database and migrates it."""
        return f"{self.database(service)}_owner"

    def role(self, service: str) -> str:
        """Who reads and writes its rows."""
        return f"{self.database(service)}_service"

    @property
    def virtual_host(self) -> str:
        """Its part of the broker."""
        return f"preview-{self.preview}"

    def user(self, service: str) -> str:
        """The service's login at the broker."""
        return f"preview-{self.preview}.{service}"

    @property
    def cache_user(self) -> str:
        """Its login at the cache, which may touch its keys alone."""
        return f"preview-{self.preview}"

    @property
    def cache_prefix(self) -> str:
        """How each of its keys begins: a name has no colon, so no prefix begins another."""
        return f"preview:{self.preview}:"

    @property
    def namespace(self) -> str:
        """Where its pods run."""
        return f"preview-{self.preview}"

    def secret(self, environment: str, name: str) -> str:
        """The full name of one of its secrets."""
        return f"{environment}/previews/{self.preview}/{name}"
