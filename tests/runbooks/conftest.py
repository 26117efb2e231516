"""What runbooks work on in tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.local.certificates import Authority
from tests.runbooks.environment import Environment
from tests.services.conftest import aws_server, broker, rabbitmq_server

__all__ = ["aws_server", "broker", "rabbitmq_server"]


@pytest.fixture
def environment(aws_server: str, folder: Path) -> Environment:  # noqa: F811
    """A fresh environment on the simulated AWS."""
    return Environment(Authority(folder).ca)
