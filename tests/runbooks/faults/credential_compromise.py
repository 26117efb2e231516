"""Two logins that somebody has read, and uses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pg8000.exceptions
import pg8000.native
import pytest

from runbooks.credential_compromise import CredentialCompromise
from tests.runbooks.bench import Bench
from tests.runbooks.environment import ACCOUNT
from tests.runbooks.faults import Fault
from tests.runbooks.faults.secret_rotation import Rotations
from tests.support.databases import PASSWORD

LEAKED_UNTIL = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
_GONE = (pg8000.exceptions.Error, OSError)


@dataclass
class Leaks:
    """Logins, whoever uses them, and what the trail says of both."""

    rotations: Rotations
    sessions: list[pg8000.native.Connection] = field(default_factory=list)
    trail: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rotations.environment.answers["cloudtrail:LookupEvents"] = self._looked_up

    def use(self, name: str, *, login: Mapping[str, str] | None = None) -> pg8000.native.Connection:
        """Log in as whoever reads the login ``name`` now, or as an older ``login``. Raises what the server says."""
        known = login or self.rotations.login(name)
        connection = pg8000.native.Connection(
            known["username"],
            password=known["password"],
            host=known["host"],
            port=int(known["port"]),
            database=known["database"],
            ssl_context=self.rotations.environment.target().trust,
        )
        self.sessions.append(connection)
        return connection

    def alive(self, connection: pg8000.native.Connection) -> bool:
        with suppress(*_GONE):
            return bool(connection.run("SELECT 1"))
        return False

    def opens(self, login: Mapping[str, str]) -> bool:
        """Whether ``login`` lets anybody in."""
        with suppress(*_GONE):
            return self.alive(self.use("", login=login))
        return False

    def told(
        self, name: str, *, source: str = "secretsmanager", secret: str = "", key: str = "", who: str = "role/x"
    ) -> None:
        """The trail has a call of ``who``, of ``secret`` or made with ``key``."""
        event = {
            "eventSource": f"{source}.amazonaws.com",
            "eventName": name,
            "eventTime": "2026-11-28T03:00:00Z",
            "userIdentity": {"arn": f"arn:aws:sts::{ACCOUNT}:{who}", "accessKeyId": key},
            "sourceIPAddress": "81.2.69.142",
            "requestParameters": {"secretId": f"{self.rotations.environment.name}/{secret}"} if secret else None,
        }
        self.trail.append(event)

    def _looked_up(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        [attribute] = asked["LookupAttributes"]
        kind, value = attribute["AttributeKey"], attribute["AttributeValue"]
        of = {
            "EventName": lambda event: event["eventName"],
            "AccessKeyId": lambda event: event["userIdentity"]["accessKeyId"],
        }
        found = [event for event in self.trail if of[kind](event) == value]
        return {"Events": [{"CloudTrailEvent": json.dumps(event)} for event in found]}


@pytest.fixture
def leaks(rotations: Rotations) -> Iterator[Leaks]:
    made = Leaks(rotations)
    yield made
    for session in made.sessions:
        with suppress(*_GONE):
            session.close()


@pytest.fixture
def credential_compromise(leaks: Leaks, tmp_path: Path) -> Fault:
    names = [leaks.rotations.database(service) for service in ("booking", "payment")]
    logins = [leaks.rotations.login(name) for name in names]
    sessions = [leaks.use(name) for name in names]
    runbook = CredentialCompromise(secret=names, leaked_until=LEAKED_UNTIL, settle=0, patience=5)

    def mended() -> bool:
        return not any([leaks.opens(login) for login in logins] + [leaks.alive(session) for session in sessions])

    return Fault(
        Bench(runbook, leaks.rotations.environment, tmp_path),
        state=lambda: ([leaks.rotations.stages(name) for name in names], [leaks.alive(each) for each in sessions]),
        mended=mended,
        secrets=(PASSWORD,),
    )
