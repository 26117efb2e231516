"""One event loop in a thread of its own, on which all requests of one kubeconfig run, whichever thread asks."""

from __future__ import annotations

import asyncio
import ipaddress
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import yaml

from scripts.local.kubernetes.api import Api, ApiError, Object

T = TypeVar("T")
# Seconds for which one answer of the API server's health check stands: it is asked before each of hundreds of objects.
_STANDS = 5.0


class NoSuchKind(Exception):
    """The API server serves no such kind; for a custom resource, its definition is not installed (yet)."""


class Session:
    """Requests to one API server."""

    def __init__(self, kubeconfig: str) -> None:
        """Raises ValueError for text that is no kubeconfig, or one that leads off this machine."""
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="kubernetes").start()
        self.api: Api = asyncio.run_coroutine_threadsafe(_client(kubeconfig), self._loop).result()
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}
        self._answered = -_STANDS

    def run(self, work: Callable[[Api], Coroutine[Any, Any, T]]) -> T:
        """Do ``work`` and return its result; its exceptions are raised here."""
        return asyncio.run_coroutine_threadsafe(work(self.api), self._loop).result()

    def reachable(self) -> bool:
        """Whether the API server answers, or did a moment ago."""

        async def ask(api: Api) -> bool:
            try:
                await api.get("/readyz")
            except (httpx.HTTPError, ApiError):
                return False
            return True

        if time.monotonic() - self._answered < _STANDS:
            return True
        if answers := self.run(ask):
            self._answered = time.monotonic()
        return answers

    async def kind(self, api_version: str, kind: str) -> tuple[str, bool]:
        """The plural of a kind, and whether its objects live in namespaces. Raises NoSuchKind."""
        if kind not in self._kinds.get(api_version, {}):
            try:
                listed = await self.api.get(_root(api_version))
            except ApiError as error:
                if error.status != 404:
                    raise
                listed = {"resources": []}
            self._kinds[api_version] = {
                each["kind"]: (each["name"], each["namespaced"])
                for each in listed["resources"]
                if "/" not in each["name"]
            }
        try:
            return self._kinds[api_version][kind]
        except KeyError:
            raise NoSuchKind(
                f"the API server has no {kind} in {api_version}; for a custom resource, install its "
                "CustomResourceDefinition first (the chart that brings it) and depend on it"
            ) from None

    async def path(self, found: Object) -> str:
        """Where an object lives, by its apiVersion, kind, name and namespace. Raises NoSuchKind."""
        plural, namespaced = await self.kind(found["apiVersion"], found["kind"])
        metadata = found["metadata"]
        where = f"/namespaces/{metadata['namespace']}" if namespaced else ""
        return f"{_root(found['apiVersion'])}{where}/{plural}/{metadata['name']}"


async def _client(kubeconfig: str) -> Api:
    # Before anything else is read: a user entry may name a program to run.
    document = yaml.safe_load(kubeconfig)
    if not isinstance(document, dict):
        raise ValueError("kubeconfig: is not a kubeconfig; give its content, as YAML or JSON")
    for entry in document.get("clusters") or []:
        _stays_here(str(entry.get("cluster", {}).get("server")))
    return Api(document)


def _stays_here(url: str) -> None:
    host = urlsplit(url).hostname or ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local:
        raise ValueError(f"kubeconfig: server {url} is not on loopback; the local provider never leaves this machine")


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
