"""A server of Prometheus' project: it has files in a folder, and reads them again when it is asked to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx


@dataclass(frozen=True, slots=True)
class Configured:
    """Whoever writes the files of ``folder`` asks for them to be read again at ``url``/-/reload."""

    folder: Path
    url: str

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=2).is_success
        except httpx.HTTPError:
            return False
