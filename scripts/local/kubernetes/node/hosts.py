"""Names: every pod has an /etc/hosts of its own that holds the names of all Services.

A hosts file is enough where every address is known to the node (no wildcard, no record but A is needed), so there is
no DNS server to run. An ExternalName Service is resolved by this machine. A file is rewritten in place, because a bind
mount follows the file and not its name.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from scripts.local.kubernetes.api import Object
from scripts.local.kubernetes.node.sandbox import Mount

DOMAIN = "cluster.local"


class Hosts:
    """Writes the files of all pods and keeps them up to date."""

    def __init__(self) -> None:
        self._services: dict[str, list[tuple[str, str]]] = {}  # namespace → (address, name)
        self._files: dict[Path, tuple[str, str]] = {}  # file → namespace, the pod's own lines

    def mounts(self, pod: Object, address: str, hostname: str, folder: Path) -> list[Mount]:
        """Write /etc/hosts, /etc/hostname and /etc/resolv.conf of ``pod`` into ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        namespace, spec = pod["metadata"]["namespace"], pod["spec"]
        names = hostname
        if spec.get("subdomain"):
            names = f"{hostname}.{spec['subdomain']}.{namespace}.svc.{DOMAIN} {hostname}"
        lines = ["127.0.0.1 localhost", f"{address} {names}"]
        lines += [f"{alias['ip']} {' '.join(alias['hostnames'])}" for alias in spec.get("hostAliases") or []]
        (folder / "hostname").write_text(f"{hostname}\n")
        # Whatever is not in the hosts file does not resolve: nothing listens there, so a look-up fails at once.
        search = f"search {namespace}.svc.{DOMAIN} svc.{DOMAIN} {DOMAIN}"
        (folder / "resolv.conf").write_text(f"{search}\nnameserver {address}\noptions timeout:1 attempts:1\n")
        self._files[folder / "hosts"] = namespace, "\n".join(lines)
        self._write(folder / "hosts")
        return [Mount(str(folder / name), f"/etc/{name}", True) for name in ("hosts", "hostname", "resolv.conf")]

    def show(self, services: Mapping[str, list[tuple[str, str]]]) -> None:
        """``services``: per namespace, addresses and names of its Services."""
        if services == self._services:
            return
        self._services = {namespace: sorted(entries) for namespace, entries in services.items()}
        for file in list(self._files):
            if file.parent.exists():
                self._write(file)
            else:
                del self._files[file]

    def _write(self, file: Path) -> None:
        namespace, own = self._files[file]
        lines = [own]
        for where, entries in sorted(self._services.items()):
            for address, name in entries:
                short = f"{name} " if where == namespace else ""
                lines.append(f"{address} {short}{name}.{where} {name}.{where}.svc {name}.{where}.svc.{DOMAIN}")
        content = ("\n".join(lines) + "\n").encode()
        with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0) as handle:
            handle.write(content)
            handle.truncate(len(content))


def entries(service: Object, pods: Iterable[tuple[Object, str]]) -> list[tuple[str, str]]:
    """Addresses and names of one Service; ``pods`` are those that it selects, with their addresses."""
    name, spec = service["metadata"]["name"], service["spec"]
    if spec.get("type") == "ExternalName":
        try:
            found = socket.getaddrinfo(spec["externalName"], None, socket.AF_INET, socket.SOCK_STREAM)
        except OSError:
            return []  # an outside name that this machine cannot resolve does not resolve in a pod either
        return [(str(address[0]), name) for *_, address in found]
    if spec.get("clusterIP") not in (None, "", "None"):
        return [(spec["clusterIP"], name)]
    result = []
    for pod, address in pods:
        result.append((address, name))
        if pod["spec"].get("subdomain") == name and pod["spec"].get("hostname"):
            result.append((address, f"{pod['spec']['hostname']}.{name}"))
    return result
