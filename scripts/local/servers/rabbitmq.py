"""A real RabbitMQ server: what Amazon MQ is on AWS."""

from __future__ import annotations

import secrets
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from scripts.local import processes
from scripts.local.certificates import Authority
from scripts.local.servers import binaries

ADMIN = "platform-admin"
# Erlang's schedulers spin while idle by default; a laptop that runs the platform all day should not.
_QUIET_SCHEDULERS = "+sbwt none +sbwtdcpu none +sbwtdio none"


@dataclass(frozen=True, slots=True)
class RabbitMQ:
    """A server that accepts TLS connections alone, Erlang's port mapper that it needs, and the administrator."""

    port_mapper: processes.Server
    server: processes.Server
    host: str
    port: int
    management_port: int
    mapper_port: int
    password: str
    ca: Path

    @property
    def management_url(self) -> str:
        """Base URL of the management interface."""
        return f"https://{self.host}:{self.management_port}"

    def url(self, vhost: str = "/") -> str:
        """AMQP URL of the administrator on ``vhost``."""
        name = "%2F" if vhost == "/" else vhost
        return f"amqps://{ADMIN}:{self.password}@{self.host}:{self.port}/{name}"

    def mapped(self) -> bool:
        """Whether the port mapper answers; a node started before that would start a daemon of its own."""
        return processes.listening("127.0.0.1", self.mapper_port)

    def ready(self) -> bool:
        """Whether AMQP is served and the management interface says that the node is healthy."""
        try:
            return (
                processes.listening(self.host, self.port)
                and self.manage("GET", "/api/health/checks/local-alarms") == 200
            )
        except HTTPError:
            return False

    def manage(self, method: str, path: str) -> int:
        """Call the management API; returns the HTTP status. Raises HTTPError for an answer of 4xx or 5xx."""
        token = b64encode(f"{ADMIN}:{self.password}".encode()).decode()
        request = Request(
            self.management_url + path,
            method=method,
            data=b"{}" if method == "PUT" else None,
            headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
        )
        with urlopen(request, context=ssl.create_default_context(cafile=str(self.ca)), timeout=5) as answer:
            status: int = answer.status
            return status


def create(folder: Path, host: str, authority: Authority, *, port: int = 0) -> RabbitMQ:
    """Write the configuration of a node that listens on ``host``. Raises MissingProgram without RabbitMQ."""
    binary = binaries.find("rabbitmq-server")
    folder.mkdir(parents=True, exist_ok=True)
    secret = folder / "admin-password"
    if not secret.exists():
        secret.write_text(secrets.token_hex(16))
        secret.chmod(0o600)
    certificate = authority.issue("rabbitmq", "rabbitmq", addresses=[host])
    port = port or processes.free_port(host, 5671)
    management, mapper, distribution = (processes.free_port() for _ in range(3))
    lines = ["listeners.tcp = none", f"listeners.ssl.1 = {host}:{port}"]
    for prefix in ("ssl_options", "management.ssl"):
        lines += [
            f"{prefix}.cacertfile = {authority.ca}",
            f"{prefix}.certfile = {certificate.certificate}",
            f"{prefix}.keyfile = {certificate.key}",
        ]
    lines += [
        f"management.ssl.ip = {host}",
        f"management.ssl.port = {management}",
        f"default_user = {ADMIN}",
        f"default_pass = {secret.read_text()}",
        "vm_memory_high_watermark.absolute = 1GB",
        "disk_free_limit.absolute = 200MB",
    ]
    (folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
    (folder / "rabbitmq.conf").chmod(0o600)
    (folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
    env = {
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"platform-{distribution}@localhost",
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{_QUIET_SCHEDULERS} -kernel inet_dist_use_interface {{127,0,0,1}}",
    }
    return RabbitMQ(
        # Started by us and not by the node, which would leave it running as a daemon after its own end.
        port_mapper=processes.Server(
            name="rabbitmq-epmd",
            command=["epmd", "-port", str(mapper), "-address", "127.0.0.1"],
            log=folder / "epmd.log",
        ),
        server=processes.Server(
            name="rabbitmq", command=[str(binary)], env=env, log=folder / "rabbitmq.log", grace=20, cwd=folder
        ),
        host=host,
        port=port,
        management_port=management,
        mapper_port=mapper,
        password=secret.read_text(),
        ca=authority.ca,
    )


@contextmanager
def running(folder: Path, host: str = "127.0.0.1") -> Iterator[RabbitMQ]:
    """A node for the length of a ``with`` block; it is killed then, because an orderly end takes it six seconds."""
    rabbitmq = create(folder / "rabbitmq", host, Authority(folder).create(), port=processes.free_port(host))
    with (
        processes.serving(rabbitmq.port_mapper, rabbitmq.mapped),
        processes.serving(rabbitmq.server, rabbitmq.ready, ending=processes.end),
    ):
        yield rabbitmq
