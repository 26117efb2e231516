"""Orders parked by the real state machine, with the rows that booking and payment have of them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.saga_definition import OPERATOR, SERVICES, definition
from runbooks._kit.sqs import SqsQueue
from runbooks._kit.target import until
from runbooks.stuck_saga import StuckSaga
from services.common.database import arguments, pool
from tests.runbooks.bench import Bench
from tests.runbooks.environment import ACCOUNT, Environment
from tests.runbooks.faults import Fault
from tests.services.samples import ordered
from tests.support.databases import PASSWORD, Databases, run

_SECONDS = 20
_PAYMENT = """
  INSERT INTO payments (order_id, attempt, buyer_id, amount, currency, payment_method, status, intent_id)
  VALUES ($1, 1, $2, $3, 'eur', 'pm_card_visa', $4, $5)"""


@dataclass(frozen=True)
class Saga:
    """The order saga, entered where it undoes a payment, and both databases."""

    environment: Environment
    machine: str
    urls: dict[str, str]

    def park(self, *, payment: str | None, hold: str = "confirmed") -> str:
        """An order whose saga could not go on; returns its id."""
        order = asyncio.run(self._rows(payment, hold))
        self.start(order)
        return order

    def start(self, order: str) -> None:
        """Bring the saga of ``order`` to where a person is asked."""
        self.machines.start_execution(stateMachineArn=self.machine, name=order, input=json.dumps({"orderId": order}))
        token = self.told("payment", order)
        self.machines.send_task_failure(taskToken=token, error="Refused", cause="already captured")
        self.machines.send_task_success(taskToken=self.told("booking", order), output="{}")
        self.parked(order)

    def parked(self, order: str, *, times: int = 1) -> None:
        """Wait until a person is asked about ``order``."""
        assert until(lambda: self.waiting().count(order) == times, seconds=_SECONDS, every=0.1)

    def reached(self, order: str, state: str) -> None:
        """Wait until the execution of ``order`` is in ``state``."""
        assert until(lambda: self.state(order) == state, seconds=_SECONDS, every=0.1)

    def told(self, service: str, order: str) -> str:
        """Take the saga's command for ``service`` about ``order``; returns its token."""
        taken: list[str] = []

        def found() -> bool:
            with self.queue(service).taken() as messages:
                for message in messages:
                    if json.loads(message.body)["orderId"] == order:
                        taken.append(json.loads(message.body)["taskToken"])
                        self.queue(service).remove(message)
            return bool(taken)

        assert until(found, seconds=_SECONDS, every=0.1), f"{service} was told nothing about {order}"
        return taken[0]

    def waiting(self) -> list[str]:
        """Orders with a message in the operator's queue."""
        return sorted(json.loads(body)["orderId"] for body in self.bodies())

    def bodies(self) -> list[str]:
        with self.queue(OPERATOR).taken() as messages:
            return [message.body.decode() for message in messages]

    def queue(self, service: str) -> SqsQueue:
        return SqsQueue(self.environment.aws("sqs"), self.environment.record["queueUrls"][service])

    def execution(self, order: str) -> str:
        """The ARN of an order's execution."""
        return self.machine.replace(":stateMachine:", ":execution:") + f":{order}"

    def state(self, order: str) -> str:
        """Where the execution of ``order`` is."""
        events = self.machines.get_execution_history(executionArn=self.execution(order))["events"]
        return [str(found["name"]) for each in events if (found := each.get("stateEnteredEventDetails"))][-1]

    @property
    def machines(self) -> Any:
        return self.environment.aws("stepfunctions")

    def tokens(self) -> tuple[str, ...]:
        return tuple(json.loads(body)["taskToken"] for body in self.bodies())

    def run(self, service: str, statement: str, *values: object) -> None:
        """A statement on a service's database."""
        asyncio.run(run(self.urls[service], statement, *values))

    async def _rows(self, payment: str | None, hold: str) -> str:
        async with pool(self.urls["booking"], size=2) as booking:
            order = await ordered(booking)
            await booking.execute("UPDATE holds SET status = $2 WHERE id = $1", order.hold_id, hold)
            await booking.execute("UPDATE orders SET status = 'needs_operator' WHERE id = $1", order.id)
        if payment:
            values = (order.id, order.buyer_id, order.amount, payment, f"pi_{order.id.hex}")
            await run(self.urls["payment"], _PAYMENT, *values)
        return str(order.id)


@pytest.fixture
def saga(environment: Environment, databases: Databases) -> Saga:
    urls = {service: asyncio.run(databases.create(service)) for service in ("booking", "payment")}
    for service, url in urls.items():
        environment.database(service, arguments(url))
    queues = {service: environment.queue(service)[0] for service in (*SERVICES, OPERATOR)}
    machine = environment.aws("stepfunctions").create_state_machine(
        name=f"{environment.name}-saga",
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/machine",
        definition=json.dumps({**definition(queues), "StartAt": "CancelPayment"}),
    )
    return Saga(environment, machine["stateMachineArn"], urls)


@pytest.fixture
def stuck_saga(saga: Saga, tmp_path: Path) -> Fault:
    paid, declined = saga.park(payment="captured"), saga.park(payment="declined", hold="released")
    return Fault(
        Bench(StuckSaga(patience=0), saga.environment, tmp_path),
        state=lambda: (saga.waiting(), saga.state(paid), saga.state(declined)),
        mended=lambda: (
            until(lambda: (saga.waiting(), saga.state(paid)) == ([], "IssueTickets"), seconds=2)
            and saga.state(declined) == "CancelPayment"
        ),
        secrets=(PASSWORD, *saga.tokens()),
    )
