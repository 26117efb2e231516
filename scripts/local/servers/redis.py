"""A real Redis server: what Amazon ElastiCache is on AWS."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from scripts.local import processes
from scripts.local.certificates import Authority
from scripts.local.servers import binaries


@dataclass(frozen=True, slots=True)
class Redis:
    """A server that accepts TLS connections alone, and the password of its default user."""

    server: processes.Server
    host: str
    port: int
    password: str
    ca: Path

    def url(self) -> str:
        """URL of the default user."""
        return f"rediss://:{self.password}@{self.host}:{self.port}/0"

    def ready(self) -> bool:
        """Whether it answers PING."""
        try:
            with redis.Redis.from_url(self.url(), ssl_ca_certs=str(self.ca)) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


def create(folder: Path, host: str, authority: Authority, *, port: int = 0) -> Redis:
    """Write the configuration of a server that listens on ``host``. Raises MissingProgram without Redis."""
    folder.mkdir(parents=True, exist_ok=True)
    password = secrets.token_hex(16)
    certificate = authority.issue("redis", "redis", addresses=[host])
    port = port or processes.free_port(host, 6379)
    (folder / "redis.conf").write_text(
        "\n".join(
            [
                f"bind {host}",
                "port 0",
                f"tls-port {port}",
                f"tls-cert-file {certificate.certificate}",
                f"tls-key-file {certificate.key}",
                f"tls-ca-cert-file {authority.ca}",
                "tls-auth-clients no",
                f"requirepass {password}",
                f"dir {folder}",
                "appendonly yes",
                'save ""',
                "maxmemory 256mb",
                "maxmemory-policy noeviction",
                "",
            ]
        )
    )
    (folder / "redis.conf").chmod(0o600)
    server = processes.Server(
        name="redis",
        command=[str(binaries.find("redis-server")), str(folder / "redis.conf")],
        log=folder / "redis.log",
    )
    return Redis(server, host, port, password, authority.ca)


@contextmanager
def running(folder: Path, host: str = "127.0.0.1") -> Iterator[Redis]:
    """A server for the length of a ``with`` block."""
    server = create(folder / "redis", host, Authority(folder).create(), port=processes.free_port(host))
    with processes.serving(server.server, server.ready):
        yield server
