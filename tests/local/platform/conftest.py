"""One platform for all tests that look at a running one: tests/conftest.py has them run on one worker, in an order in
which each leaves it to the next as it wants to find it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local.platform.support import Platform, running


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(tmp_path_factory.mktemp("platform") / "state") as found:
        yield found
