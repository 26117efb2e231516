"""What runbooks work on in tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.local.certificates import Authority
from tests.runbooks.environment import Environment
from tests.runbooks.faults.database_connections_exhausted import database_connections_exhausted, sessions
from tests.runbooks.faults.dead_letter_redrive import commands, dead_letter_redrive, events
from tests.runbooks.faults.rds_storage_full import rds_storage_full, storage
from tests.runbooks.faults.waf_block import firewall, waf_block
from tests.services.conftest import aws_server, broker, rabbitmq_server

__all__ = [
    "aws_server",
    "broker",
    "commands",
    "database_connections_exhausted",
    "dead_letter_redrive",
    "events",
    "firewall",
    "rabbitmq_server",
    "rds_storage_full",
    "sessions",
    "storage",
    "waf_block",
]


@pytest.fixture
def environment(aws_server: str, folder: Path) -> Environment:
    """A fresh environment on the simulated AWS."""
    return Environment(Authority(folder).ca)
