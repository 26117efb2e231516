"""What tests of the whole saga share."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.services.conftest import call
from tests.services.saga.platform import Platform


@pytest.fixture
def buyer(platform: Platform) -> Iterator[httpx.Client]:
    with platform.client("booking", f"buyer-{uuid.uuid4()}", "attendee") as client:
        yield client


@pytest.fixture
def faults(platform: Platform) -> Iterator[Callable[..., object]]:
    yield lambda **wanted: call(f"{platform.stripe}/_local/faults", wanted)
    call(
        f"{platform.stripe}/_local/faults", {"mode": "", "count": 0, "duplicate_webhooks": 1, "reorder_webhooks": False}
    )
