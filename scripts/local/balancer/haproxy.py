"""A real HAProxy: what an application load balancer is on AWS. It starts with nothing behind it, and hears the rest."""

from __future__ import annotations

import csv
import io
import os
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.local import processes
from scripts.local.balancer.configuration import Group, Place, checked, maps, render, server
from scripts.local.balancer.rules import Rule
from scripts.local.certificates import Authority
from scripts.local.servers import binaries

# Seconds that the process may take to answer; a reload waits until the new one serves.
_PATIENCE = 10


class Refused(RuntimeError):
    """HAProxy does not take what it was told; the message says what, and its answer."""


def create(folder: Path, host: str, authority: Authority, names: Sequence[str]) -> tuple[processes.Server, Place]:
    """Write a configuration without rules, for a start on ``host``, with a certificate for ``names``.

    Raises MissingProgram without HAProxy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pair = authority.issue("balancer", "balancer", addresses=[*names, host])
    pem = folder / "balancer.pem"
    pem.touch(mode=0o600)
    pem.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    log = f"{host}:{processes.free_port(host, 5514)}"
    place = Place(folder=folder, host=host, port=processes.free_port(host, 8443), pem=pem, log=log)
    place.save()
    _write(place, [], [], speed=1)
    started = processes.Server(
        name="balancer",
        command=[
            *(str(binaries.find("haproxy")), "-C", str(folder)),
            *("-W", "-S", f"unix@{place.master.name},mode,600", "-f", str(place.file)),
        ],
        log=folder / "haproxy.log",
    )
    return started, place


def _write(place: Place, rules: Sequence[Rule], groups: Sequence[Group], *, speed: float) -> None:
    for file, entries in maps(place, rules, groups).items():
        file.write_text("".join(f"{key} {value}\n" for key, value in entries.items()))
    place.file.write_text(render(place, rules, groups, speed=speed))


@dataclass(slots=True)
class HAProxy:
    """The running server at ``place``. ``speed`` is how much faster than AWS it asks targets for their health."""

    place: Place
    speed: float
    _rules: str = ""
    _maps: Mapping[Path, Mapping[str, str]] | None = None

    def bring(self, rules: Sequence[Rule], groups: Sequence[Group]) -> None:
        """Make it serve ``rules`` with ``groups``. Raises Refused, and OSError when nobody answers.

        Other rules or groups need a reload; other weights, and other targets, change the process that runs.
        """
        # Targets are no part of it: they come and go by the socket.
        bare = [replace(group, targets=frozenset()) for group in groups]
        wanted, wanted_maps = render(self.place, rules, bare, speed=self.speed), maps(self.place, rules, groups)
        if wanted != self._rules:
            _write(self.place, rules, groups, speed=self.speed)
            self._reload()
            self._rules, self._maps = wanted, wanted_maps
            return
        self._bring_maps(wanted_maps)
        there = self._servers()
        for group in groups:
            self._bring_targets(group, there)

    def states(self, groups: Iterable[Group]) -> dict[str, dict[str, str]]:
        """How the targets of each group are, in ELBv2's words: initial, healthy or unhealthy; by ARN and target."""
        found = self._servers()
        return {
            group.arn: {target[0]: _state(found.get((group.name, server(target)), {})) for target in group.targets}
            for group in groups
        }

    def _bring_maps(self, wanted: Mapping[Path, Mapping[str, str]]) -> None:
        for file, entries in wanted.items():
            if self._maps is not None and self._maps.get(file) == entries:
                continue
            # All of a map at once: no request sees half of it.
            version = self.tell(f"prepare map {file}").rpartition(" ")[2]
            for key, value in entries.items():
                self.tell(f"add map @{version} {file} {key} {value}")
            self.tell(f"commit map @{version} {file}")
        self._maps = wanted

    def _bring_targets(self, group: Group, servers: Mapping[tuple[str, str], Mapping[str, str]]) -> None:
        there = {name: row for (backend, name), row in servers.items() if backend == group.name}
        wanted = {server(target): target for target in group.targets}
        for name, target in wanted.items():
            if name not in there:
                self.tell(f"add server {group.name}/{name} {target[0]}:{target[1]} {checked(group, self.speed)}")
            if name not in there or there[name]["status"].startswith("MAINT"):
                self.tell(f"enable health {group.name}/{name}")
                self.tell(f"enable server {group.name}/{name}")
        for name in there.keys() - wanted.keys():
            if there[name]["status"].startswith("MAINT"):
                # It stays while a request is under way there; the next round tries again.
                self._ask(self.place.socket, f"del server {group.name}/{name}")
            else:
                self.tell(f"disable health {group.name}/{name}")
                self.tell(f"disable server {group.name}/{name}")

    def _servers(self) -> dict[tuple[str, str], dict[str, str]]:
        """Rows of HAProxy's statistics, by backend and server."""
        text = self._ask(self.place.socket, "show stat -1 4 -1").removeprefix("# ")
        return {(row["pxname"], row["svname"]): row for row in csv.DictReader(io.StringIO(text))}

    def _reload(self) -> None:
        """Begin a process with the files as they are; the one before answers what it has taken on."""
        done = subprocess.run(
            [str(binaries.find("haproxy")), "-c", "-f", str(self.place.file)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Refused(f"HAProxy does not take {self.place.file}: {done.stderr.strip()}")
        before = self._pid()
        self._ask(self.place.master, "reload")
        if not processes.eventually(lambda: self._pid() != before, timeout=_PATIENCE):
            raise Refused(f"HAProxy has not read {self.place.file} anew after {_PATIENCE} s; its log says why")

    def _pid(self) -> str:
        lines = dict(line.partition(": ")[::2] for line in self._ask(self.place.socket, "show info").splitlines())
        return lines["Pid"]

    def tell(self, command: str) -> str:
        """Its answer to ``command``. Raises Refused for one that is a complaint, and OSError when nobody answers."""
        answer = self._ask(self.place.socket, command)
        if answer and not answer.startswith("New "):
            raise Refused(f"{command}: {answer}")
        return answer

    def _ask(self, path: Path, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection, _opened(path.parent) as folder:
            connection.settimeout(_PATIENCE)
            # unix(7): an address has 108 bytes, and the path of a folder may have more.
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
            connection.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode().strip()


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Its file descriptor."""
    descriptor = os.open(folder, os.O_PATH)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _state(row: Mapping[str, str]) -> str:
    status = row.get("status", "")
    if status.startswith("UP"):
        return "healthy" if row["check_status"].removeprefix("* ").startswith("L7OK") else "initial"
    return "unhealthy" if status.startswith("DOWN") else "initial"
