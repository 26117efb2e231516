"""What runbooks work on in tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.local.certificates import Authority
from tests.runbooks.environment import Environment
from tests.runbooks.faults.database_connections_exhausted import database_connections_exhausted, sessions
from tests.runbooks.faults.dead_letter_redrive import commands, dead_letter_redrive, events
from tests.runbooks.faults.oversell_audit import oversell_audit, pools
from tests.runbooks.faults.payment_reconciliation import books, payment_reconciliation
from tests.runbooks.faults.secret_rotation import rotations, secret_rotation
from tests.runbooks.faults.stuck_saga import saga, stuck_saga
from tests.services.conftest import aws_server, broker, rabbitmq_server

__all__ = [
    "aws_server",
    "books",
    "broker",
    "commands",
    "database_connections_exhausted",
    "dead_letter_redrive",
    "events",
    "oversell_audit",
    "payment_reconciliation",
    "pools",
    "rabbitmq_server",
    "rotations",
    "saga",
    "secret_rotation",
    "sessions",
    "stuck_saga",
]


@pytest.fixture
def environment(aws_server: str, folder: Path) -> Environment:
    """A fresh environment on the simulated AWS."""
    return Environment(Authority(folder).ca)
