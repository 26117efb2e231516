from __future__ import annotations

from pathlib import Path

import pytest

from scripts.local.balancer.configuration import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Where nothing runs."""
    return Place(folder=tmp_path, host="127.0.0.1", port=1, pem=tmp_path / "pem", log="127.0.0.1:2")
