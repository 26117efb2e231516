"""The service proxy: a TCP listener on every ClusterIP and port, forwarding to ready pods.

It selects the pods of a Service by the Service's own selector. A pod that is about to end gets no new connection; its
existing ones go on until either side ends them. A connection that a pod refuses goes to the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from scripts.local.kubernetes.api import Key, Object
from scripts.local.kubernetes.node.pod import Pod
from scripts.local.kubernetes.node.sources import number

log = logging.getLogger(__name__)
Endpoint = tuple[str, int]
CONNECT_SECONDS = 2.0  # a loopback connection takes well under a millisecond or is refused


def selects(service: Object, pod: Object) -> bool:
    """Whether ``pod`` is one of ``service``'s; a Service without a selector has none."""
    selector, labels = service["spec"].get("selector") or {}, pod["metadata"].get("labels") or {}
    same = pod["metadata"]["namespace"] == service["metadata"]["namespace"]
    return bool(selector) and same and all(labels.get(key) == value for key, value in selector.items())


def endpoints(service: Object, port: Object, pods: Sequence[Pod]) -> list[Endpoint]:
    """Where connections to ``port`` may go now."""
    found = []
    for pod in pods:
        if pod.ready and selects(service, pod.pod):
            ports = [each for container in pod.pod["spec"]["containers"] for each in container.get("ports") or []]
            try:
                found.append((pod.address, number(port.get("targetPort", port["port"]), ports)))
            except KeyError:
                log.warning("%s has no port named %r", pod.pod["metadata"]["name"], port["targetPort"])
    return found


class Proxy:
    """All listeners; `show` brings them in line with the Services."""

    def __init__(self, refused: Callable[[Object, str], None]) -> None:
        """``refused`` is told of a Service whose address and port cannot be listened on, and why."""
        self._refused = refused
        self._listeners: dict[tuple[Key, str, int], asyncio.Server] = {}
        self._targets: dict[tuple[Key, str, int], list[Endpoint]] = {}
        self._lock = asyncio.Lock()
        self._impossible: set[tuple[Key, str, int]] = set()

    async def show(self, services: Mapping[Key, Object], pods: Sequence[Pod]) -> None:
        """Listen for every port of ``services`` and forward to ``pods`` that are ready."""
        async with self._lock:
            wanted = {}
            for key, service in services.items():
                address = service["spec"].get("clusterIP")
                if address in (None, "", "None") or service["spec"].get("type") == "ExternalName":
                    continue
                for port in service["spec"].get("ports") or []:
                    if port.get("protocol", "TCP") == "TCP" and key != ("default", "kubernetes"):
                        wanted[key, address, port["port"]] = service, port
            self._impossible &= wanted.keys()
            for listener in [each for each in self._listeners if each not in wanted]:
                self._listeners.pop(listener).close()
                self._targets.pop(listener, None)
            for listener, (service, port) in wanted.items():
                # The order is kept, so that the turn goes on where it was.
                now, before = endpoints(service, port, pods), self._targets.get(listener, [])
                self._targets[listener] = [each for each in before if each in now] + [e for e in now if e not in before]
                if listener not in self._listeners and listener not in self._impossible:
                    await self._listen(listener, service)

    async def close(self) -> None:
        """Stop listening."""
        for server in self._listeners.values():
            server.close()

    async def _listen(self, listener: tuple[Key, str, int], service: Object) -> None:
        _, address, port = listener
        loop = asyncio.get_running_loop()
        try:
            self._listeners[listener] = await loop.create_server(
                lambda: _Front(lambda: self._turn(listener)), address, port, backlog=1024
            )
        except OSError as error:
            # A port below 1024 needs root, or net.ipv4.ip_unprivileged_port_start: asking again changes nothing.
            self._impossible.add(listener)
            self._refused(service, f"cannot listen on {address}:{port}: {error.strerror}")

    def _turn(self, listener: tuple[Key, str, int]) -> list[Endpoint]:
        """The endpoints, the next one first (round robin)."""
        targets = self._targets.get(listener) or []
        if targets:
            targets.append(targets.pop(0))
        return targets[::-1]


class _Pipe(asyncio.Protocol):
    """Copies what it receives to ``peer``, at the pace of the slower side."""

    peer: asyncio.Transport | None = None
    ended = False
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.peer:
            self.peer.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        if self.peer is None:
            return True  # still connecting
        if cast(_Pipe, self.peer.get_protocol()).ended:
            return False  # both directions are done
        self.peer.write_eof()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        if self.peer:
            self.peer.close()

    def pause_writing(self) -> None:
        if self.peer:
            self.peer.pause_reading()

    def resume_writing(self) -> None:
        if self.peer:
            self.peer.resume_reading()


class _Front(_Pipe):
    """The client's side: finds a pod, then is a pipe to it."""

    def __init__(self, targets: Callable[[], list[Endpoint]]) -> None:
        self._targets = targets
        self._task: asyncio.Task[None] | None = None
        self._early = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        if self.peer is None:  # uvloop may read once before it heeds the pause
            self._early += data
        else:
            self.peer.write(data)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        for host, port in self._targets():
            back = _Pipe()
            back.peer = self.transport
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    transport, _ = await loop.create_connection(lambda pipe=back: pipe, host, port)  # type: ignore[misc]
            except OSError:
                continue
            if self.transport.is_closing():
                transport.close()
                return
            self.peer = transport
            if self._early:
                transport.write(bytes(self._early))
                self._early.clear()
            if self.ended:
                transport.write_eof()
            self.transport.resume_reading()
            return
        self.transport.abort()  # nobody is ready: the client sees a reset, as with a Service without endpoints
