"""The services' real databases, for what documents tell people to type."""

from __future__ import annotations

from tests.services.conftest import databases, folder, postgres_server, templates

__all__ = ["databases", "folder", "postgres_server", "templates"]
