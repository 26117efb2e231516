"""An environment on the simulated AWS, as runbooks find it, with everything that the screen looks at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.local.certificates import Authority
from tests.runbooks.environment import Environment
from tests.services.conftest import aws_server

__all__ = ["aws_server"]


@pytest.fixture
def environment(aws_server: str, folder: Path) -> Environment:
    made = Environment(Authority(folder).create().ca)
    queues = {name: made.queue(name) for name in ("booking", "operator")}
    machine = made.aws("stepfunctions").create_state_machine(
        name=made.name,
        roleArn="arn:aws:iam::123456789012:role/machine",
        definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Pass", "End": True}}}),
    )
    lease = f"/{made.name}/booking-canary/lease"
    made.aws("ssm").put_parameter(Name=lease, Value="none", Type="String")
    made.write(
        queueUrls={name: alive for name, (alive, _) in queues.items()},
        deadLetterUrls={name: dead for name, (_, dead) in queues.items()},
        stateMachineArn=machine["stateMachineArn"],
        canaries={"booking": {"lease": lease}},
    )
    return made


class Told:
    """Prometheus, saying what a test wants."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.firing: list[dict[str, Any]] = []

    def __call__(
        self, path: str, query: Mapping[str, str] | None = None, *, method: str = "GET", body: Any = None
    ) -> Any:
        assert (method, body) == ("GET", None)
        if path == "/api/v1/alerts":
            return {"data": {"alerts": self.firing}}
        found = [value for name, value in self.values.items() if name in (query or {})["query"]]
        return {"data": {"result": [{"value": [0, str(value)]} for value in found]}}


@pytest.fixture
def told() -> Told:
    return Told()
