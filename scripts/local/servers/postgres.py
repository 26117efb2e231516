"""A real PostgreSQL server: what Amazon RDS is on AWS."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from scripts.local import processes
from scripts.local.certificates import Authority
from scripts.local.servers import binaries

ADMIN = "platform_admin"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server that accepts TLS connections alone (as ``rds.force_ssl`` does), and its administrator."""

    server: processes.Server
    host: str
    port: int
    password: str
    ca: Path

    @property
    def admin_url(self) -> str:
        """URL of the administrator on the maintenance database."""
        return self.url(ADMIN, "postgres", self.password)

    def url(self, user: str, database: str, password: str = "") -> str:
        """URL of ``user`` on ``database``; the server's certificate is verified against ``SSL_CERT_FILE``."""
        return f"postgresql://{user}:{quote(password, safe='')}@{self.host}:{self.port}/{database}?sslmode=verify-full"

    def ready(self) -> bool:
        """Whether it answers queries."""
        return self._psql("SELECT 1").returncode == 0

    def create(self, database: str, owner: str, password: str) -> str:
        """Create ``database`` owned by a new role ``owner``; returns its URL. Raises RuntimeError with psql's words."""
        for statement in (
            f"CREATE ROLE \"{owner}\" LOGIN CREATEROLE PASSWORD '{password}'",
            f'CREATE DATABASE "{database}" OWNER "{owner}"',
        ):
            done = self._psql(statement)
            if done.returncode:
                raise RuntimeError(f"PostgreSQL refused {database!r} for {owner!r}: {done.stderr.strip()}")
        return self.url(owner, database, password)

    def _psql(self, statement: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [binaries.find("postgres").with_name("psql"), "-XtAqc", statement],
            env={
                **os.environ,
                "PGHOST": self.host,
                "PGPORT": str(self.port),
                "PGUSER": ADMIN,
                "PGPASSWORD": self.password,
                "PGDATABASE": "postgres",
                "PGSSLMODE": "verify-full",
                "PGSSLROOTCERT": str(self.ca),
                "PGCONNECT_TIMEOUT": "5",
            },
            capture_output=True,
            text=True,
            check=False,
        )


def create(folder: Path, host: str, authority: Authority, *, port: int = 0, durable: bool = False) -> Postgres:
    """Initialise a cluster in ``folder`` (once), to listen on ``host``. Raises MissingProgram without PostgreSQL.

    One that is not ``durable`` keeps what it has when it is killed, and not when the machine loses its power: then
    nothing waits for the disk, and a database is made in a tenth of the time.
    """
    binary = binaries.find("postgres")
    data, secret = folder / "data", folder / "admin-password"
    if not secret.exists():
        folder.mkdir(parents=True, exist_ok=True)
        secret.write_text(secrets.token_hex(16))
        secret.chmod(0o600)
    if not (data / "PG_VERSION").exists():
        subprocess.run(
            [
                *_as_someone(),
                binary.with_name("initdb"),
                f"--pgdata={data}",
                f"--username={ADMIN}",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
        )
    certificate = authority.issue("postgres", "postgres", addresses=[host])
    port = port or processes.free_port(host, 5432)
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.0/8 scram-sha-256\n")
    settings = {
        "listen_addresses": host,
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 200,
        "ssl": "on",
        "ssl_cert_file": certificate.certificate,
        "ssl_key_file": certificate.key,
        "shared_buffers": "128MB",
        "fsync": "on" if durable else "off",
    }
    command = [*_as_someone(), str(binary), "-D", str(data)]
    for key, value in settings.items():
        command += ["-c", f"{key}={value}"]
    # SIGINT is PostgreSQL's fast shutdown: sessions are ended, the data is left clean.
    server = processes.Server(name="postgres", command=command, log=folder / "postgres.log", stop=signal.SIGINT)
    return Postgres(server, host, port, secret.read_text(), authority.ca)


@contextmanager
def running(folder: Path, host: str = "127.0.0.1", *, durable: bool = False) -> Iterator[Postgres]:
    """A server for the length of a ``with`` block."""
    port = processes.free_port(host)
    postgres = create(folder / "postgres", host, Authority(folder).create(), port=port, durable=durable)
    with processes.serving(postgres.server, postgres.ready):
        yield postgres


def _as_someone() -> list[str]:
    """PostgreSQL refuses to run as root: in a user namespace, root is an ordinary user whose files are still root's."""
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"] if os.geteuid() == 0 else []
