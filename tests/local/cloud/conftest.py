"""One simulated cloud for all tests of a worker; every test gets a workspace, and resources of other names, on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from scripts.local.cloud.running import Addresses, running
from tests.support.engine import Workspace


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    with running(folder=tmp_path_factory.mktemp("cloud")) as addresses:
        yield addresses


@pytest.fixture
def workspace(cloud: Addresses, tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "project", cloud.debug_providers)


@pytest.fixture
def client(cloud: Addresses) -> Callable[[str], Any]:
    def make(service: str, region: str = cloud.region) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            region_name=region,
            endpoint_url=cloud.endpoint,
            aws_access_key_id="simulated",
            aws_secret_access_key="simulated",
        )

    return make


@pytest.fixture
def inject(cloud: Addresses) -> Iterator[Callable[..., None]]:
    """Arm a fault; whatever is left of it is cleared after the test."""

    def arm(**fault: Any) -> None:
        answer = requests.post(f"{cloud.control}/faults", json=fault, timeout=10)
        assert answer.ok, answer.text

    yield arm
    requests.delete(f"{cloud.control}/faults", timeout=10)
