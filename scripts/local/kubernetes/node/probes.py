"""Startup, liveness and readiness probes, and lifecycle hooks."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx

from scripts.local.kubernetes.api import Object
from scripts.local.kubernetes.node.sandbox import Process
from scripts.local.kubernetes.node.sources import number


class Failed(Exception):
    """A probe or hook failed; the message says how."""


def _client() -> httpx.AsyncClient:
    # Like the kubelet, which does not verify a pod's certificate, follows no redirect and keeps no connection.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return httpx.AsyncClient(verify=context, limits=httpx.Limits(max_keepalive_connections=0), trust_env=False)


class Prober:
    """Performs the actions of probes and hooks; one for the whole node."""

    def __init__(self) -> None:
        self._http = _client()

    async def close(self) -> None:
        """Close the HTTP client."""
        await self._http.aclose()

    async def act(self, action: Object, container: Object, process: Process, host: str, limit: float) -> None:
        """One attempt, of at most ``limit`` seconds. Raises Failed."""
        try:
            async with asyncio.timeout(limit):
                await self._act(action, container, process, host, limit)
        except TimeoutError:
            raise Failed(f"no answer within {limit:g} s") from None
        except (OSError, httpx.HTTPError) as error:
            raise Failed(str(error) or type(error).__name__) from error
        except KeyError as error:
            raise Failed(f"container {container['name']} has no port named {error}") from error

    async def _act(self, action: Object, container: Object, process: Process, host: str, limit: float) -> None:
        ports = container.get("ports") or []
        if http := action.get("httpGet"):
            headers = {header["name"]: header["value"] for header in http.get("httpHeaders") or []}
            address = f"{http.get('host') or host}:{number(http['port'], ports)}"
            url = f"{http.get('scheme', 'HTTP').lower()}://{address}/{http.get('path', '/').lstrip('/')}"
            answer = await self._http.get(url, headers={"User-Agent": "kube-probe/1.34", **headers}, timeout=limit)
            if not 200 <= answer.status_code < 400:
                raise Failed(f"HTTP probe failed with statuscode: {answer.status_code}")
        elif tcp := action.get("tcpSocket"):
            _, writer = await asyncio.open_connection(tcp.get("host") or host, number(tcp["port"], ports))
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        elif command := action.get("exec"):
            code, output = await process.run_inside(command["command"], limit)
            if code:
                raise Failed(f"command exited with {code}: {output.strip()[-500:]}")
        elif pause := action.get("sleep"):
            await asyncio.sleep(pause["seconds"])
        else:
            raise Failed(f"the local node has no action of type {next(iter(action), 'none')}")


async def watch(probe: Object, attempt: Callable[[], Awaitable[None]], verdict: Callable[[bool, str], None]) -> None:
    """Call ``attempt`` as ``probe`` says, and ``verdict`` (passes, last error) whenever a threshold is reached.

    Ends by cancellation; the caller cancels a startup probe once it has passed.
    """
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    successes = failures = 0
    while True:
        error = ""
        try:
            await attempt()
            successes, failures = successes + 1, 0
        except Failed as failed:
            successes, failures, error = 0, failures + 1, str(failed)
        if error and failures >= probe.get("failureThreshold", 3):
            verdict(False, error)
        elif not error and successes >= probe.get("successThreshold", 1):
            verdict(True, "")
        await asyncio.sleep(probe.get("periodSeconds", 10))
