"""One PostgreSQL server for all tests of a worker, a database of its own for each test.

It stands here, once, for everything below: a second authority that this process trusts would end the trust in the
first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from scripts.local.certificates import Authority, trusting
from scripts.local.servers import postgres
from scripts.local.servers.postgres import Postgres
from tests.support.databases import Databases, Originals

# They look at one running platform, and each leaves it to the next as it wants to find it.
LIVE = tuple(f"tests/local/platform/test_{each}.py" for each in ("end_to_end", "canary", "preview", "down"))
LONG = (
    *LIVE,
    "tests/environments",
    "tests/local/platform",
    "tests/runbooks",
    "tests/services",
    "tests/local",
    "tests/stacks",
)


# xdist has no types.
class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """A file to one worker, so that what its tests share is made once. The files of the live platform are one unit; and
    each runbook's promises are one.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        if file in LIVE:
            return LIVE[0]
        return f"{file}[{test.partition('[')[2]}" if file.endswith("runbooks/test_contract.py") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Units go out in the order in which they were collected."""
    config.option.loadscopereorder = False
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes goes first: else everything is done, and one worker is waited for."""
    items.sort(key=lambda item: next((at for at, start in enumerate(LONG) if item.nodeid.startswith(start)), len(LONG)))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the session's servers live; its authority is trusted by everything in this process."""
    made = tmp_path_factory.mktemp("servers")
    with trusting(Authority(made).create().bundle):
        yield made


@pytest.fixture(scope="session")
def postgres_server(folder: Path) -> Iterator[Postgres]:
    with postgres.running(folder) as server:
        yield server


@pytest.fixture(scope="session")
def originals(postgres_server: Postgres) -> Iterator[Originals]:
    with Originals.of(postgres_server) as made:
        yield made


@pytest.fixture
async def databases(originals: Originals) -> AsyncIterator[Databases]:
    made = Databases(originals)
    yield made
    await made.drop()
