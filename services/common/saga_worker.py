"""A saga worker: commands from SQS, carried out once, answered with their task token.

docs/saga.md says what may be relied upon. The worker fails open to redelivery: whatever is not answered comes back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import asyncpg
from botocore.exceptions import BotoCoreError, ClientError
from fastapi import FastAPI
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from services.common import aws, database, inbox, logs, loops, metrics, outbox, runtime, telemetry
from services.common.aws import Threads
from services.common.inbox import Claim, Outcome, StaleLease
from services.common.settings import WorkerSettings
from services.contracts import Command, Failure, SagaMessage

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

log = logs.get(__name__)

# Seconds from a parked step's becoming ready to its answer.
_PARKED_SECONDS = 1.0
# AWS says TaskTimedOut for a late token, moto says InvalidToken: the step was decided without this answer.
DECIDED = frozenset({"InvalidToken", "TaskTimedOut", "TaskDoesNotExist"})

Handler = Callable[[SagaMessage, Claim], Awaitable[Outcome]]


class Retry(Exception):
    """Raised by a handler when nothing is decided yet; ``failure`` tells the state machine what kind of retry it is."""

    def __init__(self, failure: Failure, cause: str) -> None:
        super().__init__(cause)
        self.failure = failure


class Parked(Exception):
    """Raised by a handler whose step waits for a person: written down by the service, carried on by `ParkedSteps`."""


class ParkedSteps(Protocol):
    """The steps that a service has parked. Their messages are gone from the queue: the database has them."""

    async def waiting(self) -> Sequence[str]:
        """The task tokens of those that wait, which need a heartbeat."""

    async def ready(self) -> Sequence[SagaMessage]:
        """Those that can be carried out or answered now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The queue and the rhythm: seconds of a long poll, between heartbeats, and of a lease without one."""

    url: str
    concurrency: int = 8
    wait: int = 5
    heartbeat: float = 20.0
    lease: float = 60.0


class SagaWorker:
    """Carries out the commands of one service."""

    def __init__(
        self,
        consumer: str,
        queue: Queue,
        handlers: Mapping[Command, Handler],
        *,
        pool: asyncpg.Pool,
        sqs: SQSClient,
        step_functions: SFNClient,
    ) -> None:
        self._consumer, self._queue, self._handlers, self._pool = consumer, queue, handlers, pool
        self._sqs, self._sfn = sqs, step_functions
        self._threads = Threads(2 * queue.concurrency + 2)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop``; then finish what is in hand. Faults of SQS are waited out."""
        tasks: set[asyncio.Task[None]] = set()
        while not stop.is_set():
            if len(tasks) >= self._queue.concurrency:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            try:
                received = await self._receive(min(10, self._queue.concurrency - len(tasks)))
            except (BotoCoreError, ClientError) as error:
                log.warning("queue cannot be read", error=error)
                await asyncio.sleep(1)
                continue
            for message in received:
                task = asyncio.create_task(self.process(message))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)

    async def _receive(self, free: int) -> list[Any]:
        if free < 1:
            return []
        answer = await self._threads(
            self._sqs.receive_message,
            QueueUrl=self._queue.url,
            MaxNumberOfMessages=free,
            WaitTimeSeconds=self._queue.wait,
            VisibilityTimeout=int(self._queue.lease),
        )
        return list(answer.get("Messages", []))

    async def process(self, received: Mapping[str, Any]) -> None:
        """Carry out one message, from claim to answer; never raises."""
        receipt = received["ReceiptHandle"]
        try:
            message = SagaMessage.model_validate_json(received["Body"])
        except ValidationError as error:
            # Not deleted: after maxReceiveCount deliveries it becomes a dead letter, with an alarm of its own.
            log.error("not a command", message=received.get("MessageId"), errors=error.error_count())
            return
        parent = message.input.traceparent
        try:
            with telemetry.span(message.command.value, SpanKind.CONSUMER, parent=parent, order=message.order_id):
                await self._carry_out(message, receipt)
        except Exception as error:  # the message comes back, and with it the same answer
            log.warning("command left for redelivery", command=message.command, order=message.order_id, error=error)

    async def _carry_out(self, message: SagaMessage, receipt: str) -> None:
        try:
            outcome = await self._outcome(message, receipt)
        except Parked as error:
            log.info("command parked", command=message.command, order=message.order_id, cause=str(error))
            await self._delete(receipt)
            return
        if outcome is None:
            await self._hide(receipt, self._queue.lease / 3)
            return
        await self._answer(message, outcome)
        await self._delete(receipt)

    async def attend(self, parked: ParkedSteps, stop: asyncio.Event) -> None:
        """Keep parked steps alive and carry on those that are ready, until ``stop``. Any worker may do it for all.

        When no worker lives, the state machine misses the heartbeats and sends the command again.
        """
        beat_at = 0.0
        while not stop.is_set():
            try:
                for message in await parked.ready():
                    await self._carry_on(message)
                now = asyncio.get_running_loop().time()
                if now >= beat_at:
                    beat_at = now + self._queue.heartbeat
                    await asyncio.gather(*(self._beat(token) for token in await parked.waiting()))
            except Exception as error:  # the database or AWS is away: the steps stay where they are
                log.warning("parked steps wait", error=error)
            await loops.pause(stop, _PARKED_SECONDS)

    async def _carry_on(self, message: SagaMessage) -> None:
        try:
            outcome = await self._outcome(message, None)
            if outcome is not None:
                await self._answer(message, outcome)
        except Parked:
            return

    async def _beat(self, token: str) -> None:
        try:
            await self._threads(self._sfn.send_task_heartbeat, taskToken=token)
        except ClientError as error:
            if error.response["Error"]["Code"] not in DECIDED:
                raise

    async def _delete(self, receipt: str) -> None:
        await self._threads(self._sqs.delete_message, QueueUrl=self._queue.url, ReceiptHandle=receipt)

    async def _outcome(self, message: SagaMessage, receipt: str | None) -> Outcome | None:
        handler = self._handlers.get(message.command)
        if handler is None:
            return Outcome(error=Failure.INVALID, cause=f"{self._consumer} does not carry out {message.command.value}")
        claim = await inbox.claim(self._pool, self._consumer, message, seconds=self._queue.lease)
        if not isinstance(claim, Claim):
            return claim
        try:
            async with self._beating(message, claim, receipt):
                return await handler(message, claim)
        except StaleLease as error:
            log.warning("lease lost", command=message.command, order=message.order_id, error=error)
            return None
        except Parked:
            await inbox.give_back(self._pool, claim)
            raise
        except Retry as error:
            await inbox.give_back(self._pool, claim)
            return Outcome(error=error.failure, cause=str(error))
        except Exception as error:
            log.error("command failed", command=message.command, order=message.order_id, exc_info=error)
            await inbox.give_back(self._pool, claim)
            return Outcome(error=Failure.TRANSIENT, cause=type(error).__name__)

    async def _answer(self, message: SagaMessage, outcome: Outcome) -> None:
        token = await inbox.token(self._pool, self._consumer, message.message_id) or message.task_token
        try:
            if outcome.error is None:
                output = json.dumps(outcome.output or {})
                await self._threads(self._sfn.send_task_success, taskToken=token, output=output)
            else:
                await self._threads(
                    self._sfn.send_task_failure, taskToken=token, error=str(outcome.error), cause=outcome.cause
                )
        except ClientError as error:
            if error.response["Error"]["Code"] not in DECIDED:
                raise
            log.info("decided already", command=message.command, order=message.order_id)
        await inbox.answered(self._pool, self._consumer, message.message_id)
        metrics.COMMANDS.labels(message.command, outcome.error or "succeeded").inc()
        log.info(
            "command answered", command=message.command, order=message.order_id, outcome=outcome.error or "succeeded"
        )

    async def _hide(self, receipt: str, seconds: float) -> None:
        await self._threads(
            self._sqs.change_message_visibility,
            QueueUrl=self._queue.url,
            ReceiptHandle=receipt,
            VisibilityTimeout=max(1, int(seconds)),
        )

    @asynccontextmanager
    async def _beating(self, message: SagaMessage, claim: Claim, receipt: str | None) -> AsyncIterator[None]:
        async def beat() -> None:
            while True:
                await asyncio.sleep(self._queue.heartbeat)
                try:
                    await inbox.extend(self._pool, claim, seconds=self._queue.lease)
                    if receipt is not None:
                        await self._hide(receipt, self._queue.lease)
                    await self._threads(self._sfn.send_task_heartbeat, taskToken=message.task_token)
                except Exception as error:  # a missed beat is not a reason to stop: the commit checks the lease
                    log.warning("heartbeat missed", command=message.command, order=message.order_id, error=error)

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()


def lifespan(
    consumer: str,
    settings: WorkerSettings,
    handlers: Callable[[asyncpg.Pool], Mapping[Command, Handler]],
    *,
    beside: Callable[[asyncpg.Pool], Sequence[runtime.Loop]] = lambda _: (),
    parked: Callable[[asyncpg.Pool], ParkedSteps] | None = None,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """A lifespan that works until the application ends, with the loops ``beside`` it in the same process.

    ``parked`` tells of the steps that the service's handlers park.
    """

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        async with database.pool(settings.database_url.get_secret_value(), size=settings.database_pool_size) as pool:
            worker = SagaWorker(
                consumer,
                Queue(
                    url=settings.saga_queue_url,
                    concurrency=settings.saga_concurrency,
                    wait=settings.saga_wait_seconds,
                    heartbeat=settings.saga_heartbeat_seconds,
                    lease=settings.saga_lease_seconds,
                ),
                handlers(pool),
                pool=pool,
                sqs=aws.sqs(settings.aws_region, longest_poll=settings.saga_wait_seconds, connections=20),
                step_functions=aws.step_functions(settings.aws_region, connections=20),
            )
            app.include_router(runtime.health({"database": lambda: pool.fetchval("SELECT 1")}))
            attending = [partial(worker.attend, parked(pool))] if parked else []
            # Not by the relay: it could not tell of its own absence.
            watching = partial(loops.every, "outbox age", partial(outbox.observe, pool), outbox.OBSERVED_SECONDS)
            async with runtime.looping(worker.run, watching, *attending, *beside(pool)):
                yield

    return run
