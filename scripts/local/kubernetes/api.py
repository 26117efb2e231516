"""A small asynchronous client of the Kubernetes API: plain dictionaries, watches, and a cache kept by a watch.

The `kubernetes` package's client is synchronous, one thread per watch; the node keeps dozens of things in flight, so it
speaks HTTP through httpx. The kubeconfig is still read by that package.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import httpx
import yaml
from kubernetes import client
from kubernetes.config.kube_config import KubeConfigLoader

log = logging.getLogger(__name__)

Object = dict[str, Any]
Key = tuple[str, str]  # namespace ("" for what has none) and name

MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
WATCH_SECONDS = (
    300  # the API server ends a watch after that long; a quiet watch that broke is noticed then at the latest
)


class ApiError(Exception):
    """The API server said no: ``status`` is the HTTP status, ``reason`` its word for it ("NotFound", "Invalid")."""

    def __init__(self, status: int, reason: str, message: str, body: Object) -> None:
        super().__init__(message)
        self.status, self.reason, self.body = status, reason, body


class Api:
    """Requests to one API server under one identity. Create it, and use it, inside one event loop."""

    def __init__(self, kubeconfig: Path | str | Mapping[str, Any]) -> None:
        """``kubeconfig`` is a path, or the text or document itself. Raises ValueError when it is not one."""
        text = kubeconfig.read_text() if isinstance(kubeconfig, Path) else kubeconfig
        document = yaml.safe_load(text) if isinstance(text, str) else dict(text)
        if not isinstance(document, dict) or "clusters" not in document:
            raise ValueError("kubeconfig: not a kubeconfig (no clusters in it); pass its content, YAML or JSON")
        settings = client.Configuration()
        KubeConfigLoader(document).load_and_set(settings)
        self.url = str(settings.host)
        context = ssl.create_default_context(cafile=settings.ssl_ca_cert)
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file)
        token = settings.get_api_key_with_prefix("authorization")
        self._http = httpx.AsyncClient(
            base_url=self.url,
            verify=context,
            headers={"Authorization": token} if token else {},
            timeout=httpx.Timeout(30, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            trust_env=False,
        )

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def request(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **params: Any
    ) -> Any:
        """The decoded answer (text when it is not JSON). Raises ApiError, or httpx.HTTPError when nobody answers."""
        content = None if body is None else json.dumps(body).encode()
        answer = await self._http.request(
            method, path, content=content, params=params, headers={"Content-Type": content_type}
        )
        _check(answer.status_code, answer.text)
        return answer.json() if answer.headers.get("content-type", "").startswith("application/json") else answer.text

    async def get(self, path: str, **params: Any) -> Any:
        """Read one object, or a list."""
        return await self.request("GET", path, **params)

    async def find(self, path: str) -> Object | None:
        """Read one object, None when it is not there."""
        try:
            found: Object = await self.get(path)
        except ApiError as error:
            if error.status != 404:
                raise
            return None
        return found

    async def create(self, path: str, body: Object, **params: Any) -> Any:
        """POST."""
        return await self.request("POST", path, body, **params)

    async def patch(self, path: str, body: Any, *, content_type: str = MERGE, **params: Any) -> Any:
        """PATCH."""
        return await self.request("PATCH", path, body, content_type=content_type, **params)

    async def apply(self, path: str, body: Object, *, manager: str, **params: Any) -> Any:
        """Server-side apply that takes over conflicting fields, with strict field validation."""
        options = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict", **params}
        return await self.request("PATCH", path, body, content_type=APPLY, **options)

    async def delete(self, path: str, body: Object | None = None) -> Any:
        """DELETE; ``body`` holds the DeleteOptions."""
        return await self.request("DELETE", path, body)

    async def watch(self, path: str, version: str, **params: Any) -> AsyncIterator[tuple[str, Object]]:
        """Changes since resource version ``version`` until the server ends the watch. ApiError 410: too old."""
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": WATCH_SECONDS, **params}
        query["allowWatchBookmarks"] = "true"
        timeout = httpx.Timeout(30, read=WATCH_SECONDS + 30, pool=None)
        async with self._http.stream("GET", path, params=query, timeout=timeout) as answer:
            if answer.status_code != 200:
                _check(answer.status_code, (await answer.aread()).decode(errors="replace"))
            async for line in answer.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise ApiError(status.get("code", 500), status.get("reason", ""), status.get("message", ""), status)
                yield event["type"], event["object"]


class Informer:
    """Every object of one path, kept up to date by a watch; ``changed`` is called for each event, in order."""

    def __init__(self, api: Api, path: str, changed: Callable[[str, Object], None], **params: Any) -> None:
        self._api, self._path, self._changed, self._params = api, path, changed, params
        self.items: dict[Key, Object] = {}
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """List, watch, and begin again whenever the watch breaks; ends by cancellation."""
        while True:
            try:
                await self._follow()
            except (ApiError, httpx.HTTPError, json.JSONDecodeError) as error:
                if not (isinstance(error, ApiError) and error.status == 410):
                    log.warning("watching %s: %s; trying again", self._path, error or type(error).__name__)
                await asyncio.sleep(1)

    async def _follow(self) -> None:
        listed = await self._api.get(self._path, **self._params)
        # Items of a list carry neither kind nor apiVersion.
        kind = {"kind": listed["kind"].removesuffix("List"), "apiVersion": listed["apiVersion"]}
        now = {_key(item): kind | item for item in listed.get("items") or []}
        for key in [key for key in self.items if key not in now]:
            self._changed("DELETED", self.items.pop(key))
        for key, item in now.items():
            kind_of_event = "MODIFIED" if key in self.items else "ADDED"
            self.items[key] = item
            self._changed(kind_of_event, item)
        self.synced.set()
        version = listed["metadata"]["resourceVersion"]
        while True:
            async for event, item in self._api.watch(self._path, version, **self._params):
                version = item["metadata"]["resourceVersion"]
                if event == "BOOKMARK":
                    continue
                if event == "DELETED":
                    self.items.pop(_key(item), None)
                else:
                    self.items[_key(item)] = item
                self._changed(event, item)


def _key(item: Object) -> Key:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _check(status: int, text: str) -> None:
    if status < 400:
        return
    body: Object = {}
    with suppress(ValueError):
        body = json.loads(text)
    message = body.get("message") or text.strip() or f"HTTP {status}"
    raise ApiError(status, body.get("reason", ""), message, body)
