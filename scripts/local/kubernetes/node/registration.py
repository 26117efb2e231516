"""The Node object: registered once, its status kept true, its lease renewed."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import httpx
import psutil

from scripts.local.kubernetes.api import STRATEGIC, Api, ApiError, Object
from scripts.local.kubernetes.control_plane import NODE
from scripts.local.kubernetes.node.events import now

log = logging.getLogger(__name__)
LEASE_SECONDS, RENEW_SECONDS, STATUS_SECONDS = 40, 10, 300  # the kubelet's defaults
PODS = 110  # the kubelet's default


def capacity(overcommit: float) -> Object:
    """What this machine has. Requests are not enforced here and local pods idle, so CPUs count ``overcommit`` times."""
    cpus = int((os.cpu_count() or 1) * overcommit)
    memory, disk = psutil.virtual_memory().total // 1024, shutil.disk_usage("/").total // 1024
    return {"cpu": str(cpus), "memory": f"{memory}Ki", "ephemeral-storage": f"{disk}Ki", "pods": str(PODS)}


class Registration:
    """Keeps one Node alive."""

    def __init__(self, api: Api, *, host: str, port: int, capacity: Object, region: str, state: Path) -> None:
        self._api, self._host, self._port, self._capacity, self._state = api, host, port, capacity, state
        self._labels: Mapping[str, str] = {
            "kubernetes.io/hostname": NODE,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
            "topology.kubernetes.io/region": region,
            "topology.kubernetes.io/zone": f"{region}a",
            "node.kubernetes.io/instance-type": "local",
        }

    async def run(self) -> None:
        """Register and renew for ever; ends by cancellation. An API server that is away is waited for."""
        beats = 0
        while True:
            try:
                if beats % (STATUS_SECONDS // RENEW_SECONDS) == 0:
                    await self.register()
                await self._renew()
                beats += 1
            except (ApiError, httpx.HTTPError) as error:
                log.warning("node heartbeat: %s", error or type(error).__name__)
                beats = 0
                await asyncio.sleep(1)
                continue
            await asyncio.sleep(RENEW_SECONDS)

    async def register(self) -> None:
        """Create the Node, or mend its labels, and write its status."""
        node: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": dict(self._labels)}}
        try:
            await self._api.create("/api/v1/nodes", node)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            await self._api.patch(f"/api/v1/nodes/{NODE}", {"metadata": node["metadata"]})
        await self._api.patch(f"/api/v1/nodes/{NODE}/status", {"status": self._status()}, content_type=STRATEGIC)

    def _status(self) -> Object:
        disk = shutil.disk_usage(self._state)
        pressure = disk.free < 0.05 * disk.total  # the kubelet's nodefs.available is 10 %, too eager for a workstation
        ready = ("Ready", "True", "KubeletReady", "the local node runs pods as processes")
        full = ("DiskPressure", str(pressure), "KubeletHasDiskPressure" if pressure else "KubeletHasNoDiskPressure", "")
        conditions = [
            {
                **{"type": kind, "status": status, "reason": reason, "message": message},
                **{"lastHeartbeatTime": now(), "lastTransitionTime": now()},
            }
            for kind, status, reason, message in (ready, full)
        ]
        info = {
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
            "kernelVersion": platform.release(),
            "osImage": platform.platform(),
            "containerRuntimeVersion": "process://1",
            "kubeletVersion": f"local-{version('event-platform')}",
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": self._labels["kubernetes.io/arch"],
        }
        addresses = [{"type": "InternalIP", "address": self._host}, {"type": "Hostname", "address": NODE}]
        return {
            **{"capacity": self._capacity, "allocatable": self._capacity, "conditions": conditions},
            **{"addresses": addresses, "nodeInfo": info},
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
        }

    async def _renew(self) -> None:
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        renewed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": NODE, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": renewed}
        try:
            await self._api.patch(f"{path}/{NODE}", {"spec": spec})
        except ApiError as error:
            if error.status != 404:
                raise
            await self._api.create(path, {"metadata": {"name": NODE}, "spec": spec})
