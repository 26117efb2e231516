"""Events about pods, repeated ones counted instead of written again."""

from __future__ import annotations

import asyncio
import logging
import secrets
from datetime import UTC, datetime

import httpx

from scripts.local.kubernetes.api import Api, ApiError, Object
from scripts.local.kubernetes.control_plane import NODE

log = logging.getLogger(__name__)
REMEMBERED = 1000  # distinct events


def now() -> str:
    """The time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Recorder:
    """Writes events in the background; one that cannot be written is logged and lost, as events may be."""

    def __init__(self, api: Api, component: str = "local-node") -> None:
        self._api, self._component = api, component
        self._known: dict[tuple[str, str, str], tuple[str, int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def record(self, about: Object, reason: str, message: str, *, warning: bool = False, container: str = "") -> None:
        """Say that ``reason`` happened to ``about``."""
        log.log(
            logging.WARNING if warning else logging.INFO,
            *("%s/%s %s: %s", about["metadata"].get("namespace", ""), about["metadata"]["name"], reason, message),
        )
        task = asyncio.create_task(self._write(about, reason, message, warning, container))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, about: Object, reason: str, message: str, warning: bool, container: str) -> None:
        metadata = about["metadata"]
        namespace = metadata.get("namespace", "default")
        path = f"/api/v1/namespaces/{namespace}/events"
        key = (metadata["uid"], reason, message)
        try:
            if known := self._known.pop(key, None):
                name, count = known
                self._known[key] = name, count + 1
                await self._api.patch(f"{path}/{name}", {"count": count + 1, "lastTimestamp": now()})
                return
            name = f"{metadata['name'][:200]}.{secrets.token_hex(6)}"
            self._known[key] = name, 1
            if len(self._known) > REMEMBERED:
                self._known.pop(next(iter(self._known)))
            about_it = {
                "apiVersion": about.get("apiVersion", "v1"),
                "kind": about.get("kind", "Pod"),
                "name": metadata["name"],
                "namespace": metadata.get("namespace"),
                "uid": metadata["uid"],
                "fieldPath": f"spec.containers{{{container}}}" if container else None,
            }
            event = {
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": about_it,
                "reason": reason,
                "message": message[:1024],  # the API's limit
                "type": "Warning" if warning else "Normal",
                "source": {"component": self._component, "host": NODE},
                "firstTimestamp": now(),
                "lastTimestamp": now(),
                "count": 1,
            }
            await self._api.create(path, event)
        except (ApiError, httpx.HTTPError) as error:
            log.debug("event %s on %s was not written: %s", reason, metadata["name"], error)
