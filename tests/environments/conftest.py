"""Production and dev made whole, once for all tests: simulated AWS, real Kubernetes API server, every policy pack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.local import rehearsal
from scripts.local.stack import Stack
from scripts.toolchain import pulumi
from tests.environments.recorded import Recorded


@dataclass(frozen=True, slots=True)
class Made:
    """An environment that exists, what making it did, and its state."""

    stack: Stack
    changes: Mapping[str, int]
    state: dict[str, Any]

    @property
    def program(self) -> Recorded:
        return Recorded(self.state)


def quiet(_: str) -> None:
    """Say nothing."""


def make(name: str, folder: Path) -> Iterator[Made]:
    """Bring an environment up for the length of a generator."""
    engine = pulumi.find()
    assert engine is not None, "no Pulumi engine: run `make setup`"
    with rehearsal.rehearsing(name, folder, engine, quiet) as stack:
        changes = stack.up(quiet)
        yield Made(stack, changes, stack.export())


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    yield from make("prod", tmp_path_factory.mktemp("prod"))


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    yield from make("dev", tmp_path_factory.mktemp("dev"))
