"""A buyer whose bank asks: the step stays open, without a worker in it, until the buyer answers or the time is over."""

from __future__ import annotations

import asyncio
import json
import uuid

import asyncpg
import boto3
import httpx
import pytest
import stripe

from services.common import aws
from services.common.auth import PLATFORM
from services.common.saga_worker import Parked, Queue, SagaWorker
from services.contracts import Command, Event, Failure
from services.payment import bootstrap, following
from services.payment.adapters import stripe_objects
from services.payment.adapters.parked import PostgresParkedSteps
from services.payment.adapters.stripe import StripeProcessor
from services.payment.adapters.transactions import transactions
from services.payment.domain import EXPIRED, Status
from tests.services.conftest import eventually
from tests.services.payment.support import CHALLENGED, carry_out, happen, intents, payment_of, said, status
from tests.services.samples import message

REGION = "eu-west-3"


async def challenged(pool: asyncpg.Pool, processor: StripeProcessor, order: str) -> str:
    """A payment that waits for its buyer; returns its intent."""
    with pytest.raises(Parked):
        await carry_out(pool, processor, Command.AUTHORISE, order, method=CHALLENGED)
    return str((await payment_of(pool, order)).intent_id)


async def test_a_challenge_is_no_decline(payment: asyncpg.Pool, processor: StripeProcessor, order: str) -> None:
    await challenged(payment, processor, order)
    await challenged(payment, processor, order)
    assert await status(payment, order) is Status.ACTION_REQUIRED
    [ids] = await said(payment, Event.PAYMENT_ACTION_REQUIRED)
    assert "secret" not in json.dumps(ids)


async def test_a_buyer_who_authenticates_is_authorised(
    payment: asyncpg.Pool, processor: StripeProcessor, stripe_server: str, order: str
) -> None:
    intent = await challenged(payment, processor, order)
    await happen(stripe_server, "authenticate", intent)
    for _ in range(2):
        await following.follow_intent(processor, transactions(payment), intent)
    assert len(await said(payment, Event.PAYMENT_AUTHORISED)) == 1
    assert (await carry_out(payment, processor, Command.AUTHORISE, order, method=CHALLENGED)).error is None
    assert (await carry_out(payment, processor, Command.CAPTURE, order)).error is None


async def test_an_authentication_whose_webhook_is_lost_is_found_when_the_step_is_tried_again(
    payment: asyncpg.Pool, processor: StripeProcessor, stripe_server: str, order: str
) -> None:
    await happen(stripe_server, "authenticate", await challenged(payment, processor, order))
    assert (await carry_out(payment, processor, Command.AUTHORISE, order, method=CHALLENGED)).error is None


async def test_a_failed_authentication_is_a_decline_and_the_secret_is_of_no_more_use(
    payment: asyncpg.Pool, processor: StripeProcessor, stripe_server: str, account: stripe.StripeClient, order: str
) -> None:
    intent = await challenged(payment, processor, order)
    await happen(stripe_server, "authenticate", intent, outcome="failed")
    await following.follow_intent(processor, transactions(payment), intent)
    answer = await carry_out(payment, processor, Command.AUTHORISE, order, method=CHALLENGED)
    assert (answer.error, answer.cause) == (Failure.PAYMENT_DECLINED, "payment_intent_authentication_failure")
    assert [i.status for i in intents(account, order)] == ["canceled"]
    assert (await payment_of(payment, order)).client_secret is None


async def test_a_buyer_who_lets_the_time_pass_is_declined(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    await challenged(payment, processor, order)
    await bootstrap.end_late_authentications(payment, processor)
    assert await status(payment, order) is Status.ACTION_REQUIRED
    await payment.execute("UPDATE payments SET action_deadline = now()")
    await bootstrap.end_late_authentications(payment, processor)
    answer = await carry_out(payment, processor, Command.AUTHORISE, order, method=CHALLENGED)
    assert (answer.error, answer.cause) == (Failure.PAYMENT_DECLINED, EXPIRED)
    assert [i.status for i in intents(account, order)] == ["canceled"]


async def test_a_buyer_who_was_just_in_time_is_authorised_at_the_deadline(
    payment: asyncpg.Pool, processor: StripeProcessor, stripe_server: str, order: str
) -> None:
    await happen(stripe_server, "authenticate", await challenged(payment, processor, order))
    await payment.execute("UPDATE payments SET action_deadline = now()")
    await bootstrap.end_late_authentications(payment, processor)
    assert await status(payment, order) is Status.AUTHORISED


async def test_a_cancellation_ends_the_wait(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    await challenged(payment, processor, order)
    assert (await carry_out(payment, processor, Command.CANCEL_PAYMENT, order)).error is None
    answer = await carry_out(payment, processor, Command.AUTHORISE, order, method=CHALLENGED)
    assert (answer.error, await status(payment, order)) == (Failure.REFUSED, Status.CANCELLED)
    assert [i.status for i in intents(account, order)] == ["canceled"]


class Step:
    """A state machine of the authorisation alone, and workers on its queue."""

    def __init__(self) -> None:
        self.sqs = boto3.client("sqs", region_name=REGION)
        self.sfn = boto3.client("stepfunctions", region_name=REGION)
        self.queue = self.sqs.create_queue(QueueName=uuid.uuid4().hex)["QueueUrl"]
        body = {"command": Command.AUTHORISE.value, "taskToken.$": "$$.Task.Token", "orderId.$": "$.orderId"}
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {
                "QueueUrl": self.queue,
                "MessageBody": {**body, "executionArn.$": "$$.Execution.Id", "input.$": "$$.Execution.Input"},
            },
            "End": True,
        }
        self.arn = self.sfn.create_state_machine(
            name=uuid.uuid4().hex,
            definition=json.dumps({"StartAt": "Authorise", "States": {"Authorise": state}}),
            roleArn="arn:aws:iam::123456789012:role/saga",
        )["stateMachineArn"]

    def start(self, order: str) -> str:
        terms = message(Command.AUTHORISE, order, method=CHALLENGED).input
        return self.sfn.start_execution(stateMachineArn=self.arn, name=order, input=terms.model_dump_json())[
            "executionArn"
        ]

    async def status(self, execution: str) -> str:
        return str((await asyncio.to_thread(self.sfn.describe_execution, executionArn=execution))["status"])

    def worker(self, pool: asyncpg.Pool, processor: StripeProcessor) -> SagaWorker:
        return SagaWorker(
            "payment",
            Queue(url=self.queue, wait=1, lease=2.0, heartbeat=0.3),
            bootstrap.commands(pool, processor),
            pool=pool,
            sqs=aws.sqs(REGION, longest_poll=1, connections=20),
            step_functions=aws.step_functions(REGION, connections=20),
        )


@pytest.mark.parametrize(("outcome", "ended"), [("succeeded", "SUCCEEDED"), ("failed", "FAILED")])
async def test_the_step_stays_open_without_a_message_and_another_worker_answers_it(
    payment: asyncpg.Pool,
    processor: StripeProcessor,
    stripe_server: str,
    aws_server: str,
    order: str,
    outcome: str,
    ended: str,
) -> None:
    step = Step()
    execution = await asyncio.to_thread(step.start, order)
    first = asyncio.create_task(step.worker(payment, processor).run(asyncio.Event()))

    async def parked() -> bool:
        left = await asyncio.to_thread(
            step.sqs.get_queue_attributes, QueueUrl=step.queue, AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
        )
        waits = bool(await PostgresParkedSteps(payment).waiting())
        return waits and left["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "0"

    await eventually(parked)
    first.cancel()  # killed: nothing of the step is left but its rows
    assert await step.status(execution) == "RUNNING"
    await happen(stripe_server, "authenticate", str((await payment_of(payment, order)).intent_id), outcome=outcome)
    await following.follow_intent(processor, transactions(payment), str((await payment_of(payment, order)).intent_id))
    stop = asyncio.Event()
    attending = asyncio.create_task(step.worker(payment, processor).attend(PostgresParkedSteps(payment), stop))

    async def answered() -> bool:
        # What is answered is crossed out after that, so that a lost answer is given again.
        return await step.status(execution) == ended and await PostgresParkedSteps(payment).ready() == []

    await eventually(answered)
    stop.set()
    await attending


async def test_a_decision_whose_answer_was_lost_is_answered_again(
    payment: asyncpg.Pool, processor: StripeProcessor, stripe_server: str, order: str
) -> None:
    await happen(stripe_server, "authenticate", await challenged(payment, processor, order))
    await carry_out(payment, processor, Command.AUTHORISE, order, method=CHALLENGED)
    [left] = await PostgresParkedSteps(payment).ready()
    assert left == message(Command.AUTHORISE, order, method=CHALLENGED)


async def test_the_client_secret_is_for_the_buyer_alone(
    payment: asyncpg.Pool, processor: StripeProcessor, stripe_server: str, api: httpx.AsyncClient, order: str
) -> None:
    intent = await challenged(payment, processor, order)

    async def seen(caller: str) -> httpx.Response:
        return await api.get(f"/payments/{order}", headers={"Authorization": caller})

    mine = await seen("buyer-1")
    assert (mine.json()["status"], mine.headers["cache-control"]) == ("action_required", "no-store")
    assert mine.json()["clientSecret"].startswith(f"{intent}_secret_")
    assert (await seen(f"operator {PLATFORM}")).json()["clientSecret"] is None
    assert (await seen("somebody-else")).status_code == 404
    await happen(stripe_server, "authenticate", intent)
    await following.follow_intent(processor, transactions(payment), intent)
    assert (await seen("buyer-1")).json()["clientSecret"] is None


def test_the_client_secret_is_not_shown_by_accident() -> None:
    found = {"id": "pi_1", "status": "requires_action", "amount": 1, "client_secret": "pi_1_secret_x"}
    assert "secret_x" not in repr(stripe_objects.intent(found))
