"""`python -m runbooks.stuck_saga`: orders that wait for a person, and the decision that the facts leave."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from runbooks import _kit as kit
from runbooks._kit import postgresql
from runbooks._kit.messages import Message
from runbooks._kit.sqs import SqsQueue
from runbooks._kit.target import until

# Where an execution is while a person may answer (components/saga_definition.py).
_AWAITS = "AwaitOperator"
_FREED = frozenset({"released", "expired"})
_OVER = frozenset({"completed", "refunded"})
_DECISIVE = ("payment", "hold", "tickets", "order_status", "intent_id")
_NOTHING_TAKEN = frozenset({None, "declined", "cancelled"})
# Events of an execution's end that are looked at: a step that gave up leaves about ten.
_EVENTS = 60
_BOOKED = """
  SELECT o.id::text AS order_id, o.status AS order_status, o.amount, h.status AS hold,
         (SELECT count(*) FROM tickets t WHERE t.order_id = o.id AND t.status <> 'void') AS tickets
  FROM orders o JOIN holds h ON h.id = o.hold_id WHERE o.id = ANY(CAST(:orders AS uuid[]))"""
# Of several attempts the last is the one that a saga works on; more than one with money in it is for a person.
_PAID = """
  SELECT DISTINCT ON (p.order_id) p.order_id::text, p.status AS payment, p.amount AS charged, p.intent_id,
         (SELECT coalesce(sum(r.amount), 0)::bigint FROM refunds r
          WHERE r.order_id = p.order_id AND r.status <> 'failed') AS refunded,
         EXISTS (SELECT FROM disputes d WHERE d.order_id = p.order_id
                 AND d.status NOT IN ('won', 'lost', 'warning_closed', 'prevented')) AS disputed,
         (SELECT count(*) FROM payments m WHERE m.order_id = p.order_id
          AND m.status NOT IN ('declined', 'cancelled')) AS with_money
  FROM payments p WHERE p.order_id = ANY(CAST(:orders AS uuid[])) ORDER BY p.order_id, p.attempt DESC"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is true of an order; the defaults are those of an order that payment has never heard of.

    ``waits``: its execution is alive and a person may answer; ``execution`` is its status.
    """

    order_id: str
    execution: str
    waits: bool
    failed: str = ""
    order_status: str | None = None
    amount: int | None = None
    hold: str | None = None
    tickets: int = 0
    payment: str | None = None
    charged: int | None = None
    intent_id: str | None = None
    refunded: int = 0
    disputed: bool = False
    with_money: int = 0

    @property
    def doubt(self) -> str:
        """Why no program may choose; empty when it may."""
        reasons = {
            "booking does not know the order": self.order_status is None,
            f"the order is {self.order_status}": self.order_status in _OVER,
            f"{self.tickets} tickets are out": self.tickets > 0,
            f"the hold is {self.hold}": self.hold == "active" and self.payment not in _NOTHING_TAKEN,
            "the payment is disputed": self.disputed,
            f"{self.with_money} payments have money in them": self.with_money > 1,
            f"{self.charged} was charged for {self.amount}": self.charged not in (None, self.amount),
            f"{self.refunded} of a captured payment went back": self.refunded > 0 and self.payment == "captured",
            f"the payment is {self.payment}": not self.decisions,
        }
        return ", ".join(reason for reason, holds in reasons.items() if holds)

    @property
    def decisions(self) -> list[str]:
        """What does not contradict the facts, the best first: the table of runbooks/stuck_saga.md."""
        if self.order_status is None or self.order_status in _OVER:
            return []
        match self.payment, self.hold:
            case "captured", "confirmed":
                # Tickets that are out are given back before money is, by a person.
                return ["issue"] if self.tickets else ["issue", "refund"]
            case (("captured" | "refunded"), _):
                return [] if self.tickets else ["refund"]
            case _ if self.tickets:
                return []
            case "authorised", "confirmed":
                return ["capture", "cancel"]
            case payment, hold if payment in _NOTHING_TAKEN or (payment == "authorised" and hold in _FREED):
                return ["cancel"]
        return []


@dataclass(frozen=True, slots=True)
class Parked:
    """The orders in the operator's queue; ``strangers`` are messages in it that are about none."""

    orders: Sequence[Facts]
    strangers: int
    chosen: Mapping[str, str]

    def decision(self, order: Facts) -> str:
        """What is to be answered; empty for an order that is for a person, or that nobody waits for any more."""
        if not order.waits:
            return ""
        return self.chosen.get(order.order_id) or ("" if order.doubt else order.decisions[0])

    def says(self, order: Facts) -> str:
        if not order.waits:
            over = order.execution in ("RUNNING", "SUCCEEDED")
            return "answered" if over else f"for a person: its execution is {order.execution}"
        return self.decision(order) or f"for a person: {order.doubt}"

    def tables(self) -> list[kit.Table]:
        columns = ("order", "went_wrong", "payment", "intent", "order_status", "hold", "tickets", "decision")
        rows = [
            (each.order_id, each.failed, each.payment, each.intent_id, each.order_status, each.hold, each.tickets,
             self.says(each))
            for each in self.orders
        ]  # fmt: skip
        strangers = [(self.strangers,)] if self.strangers else []
        return [
            kit.Table("parked orders", columns, rows),
            kit.Table("messages about no order, left", ("messages",), strangers),
        ]


@dataclass(frozen=True, kw_only=True)
class StuckSaga(kit.Runbook[Parked]):
    """Answer parked orders where the facts leave one decision, or as a person has decided.

    An order is answered once: Step Functions takes one answer to a token, and refuses any other.
    """

    aws = frozenset(
        {
            *("sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage"),
            *("states:DescribeExecution", "states:GetExecutionHistory", "states:SendTaskSuccess"),
        }
    )

    order: Annotated[list[str], typer.Option(help="Only this order; may be repeated.")] = field(default_factory=list)
    decision: Annotated[
        Literal["issue", "refund", "capture", "cancel"] | None,
        typer.Option(help="A person's choice for the one --order; refused when the facts contradict it."),
    ] = None
    patience: Annotated[float, typer.Option(min=0, help="Seconds in which an answered order should end.")] = 60.0

    def check(self, target: kit.Target) -> Parked:
        if self.decision and len(self.order) != 1:
            raise kit.Refused(f"--decision {self.decision} is of one order: name it with --order ID")
        with self._queue(target).taken() as messages:
            named = [(message, order) for message in messages if (order := _order(message))]
        executions = {order: _body(message)["executionArn"] for message, order in named}
        wanted = {order: arn for order, arn in executions.items() if not self.order or order in self.order}
        found = _facts(target, wanted)
        parked = Parked(found, len(messages) - len(named), {self.order[0]: self.decision} if self.decision else {})
        for each in found:
            if self.decision and each.waits and self.decision not in each.decisions:
                raise kit.Refused(
                    f"{self.decision} contradicts what is true of order {each.order_id}: payment {each.payment}, "
                    f"hold {each.hold}, order {each.order_status}, {each.tickets} tickets; "
                    f"possible are {', '.join(each.decisions) or 'none: escalate'}"
                )
        return parked

    def plan(self, findings: Parked) -> list[kit.Action]:
        decided = [
            kit.Action(
                id=f"{decision} {order.order_id}",
                what=f"{decision} order {order.order_id}: payment {order.payment}, hold {order.hold}",
                before={
                    "order": order.order_id,
                    "decision": decision,
                    **{name: getattr(order, name) for name in _DECISIVE},
                },
                after={"answered": decision},
                no_undo="the saga goes on with an answer at once, with money and with seats",
            )
            for order in findings.orders
            if (decision := findings.decision(order))
        ]
        answered = [
            kit.Action(
                id=f"remove {order.order_id}",
                what=f"remove the message of order {order.order_id}, which was answered",
                before={"order": order.order_id, "decision": None},
                after={"in": "no queue"},
                no_undo="nobody waits for its answer",
            )
            for order in findings.orders
            if findings.says(order) == "answered"
        ]
        return [*decided, *answered]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        order, decision = action.before["order"], action.before["decision"]
        with self._queue(target).taken() as messages:
            mine = [message for message in messages if _order(message) == order]
            if not mine:
                return {"messages": 0}
            execution = _body(mine[0])["executionArn"]
            if decision and self._plan_of(target, {order: execution}) != action:
                raise kit.Stop(f"what is true of order {order} has changed since: make a new dry run")
            # An order that was parked again has a message for each time; one token at most is still open.
            took = [_answer(target, message, decision) for message in mine if decision]
            for message in mine:
                self._queue(target).remove(message)
        if any(took):
            until(lambda: _status(target, execution) != "RUNNING", seconds=self.patience)
        return {"messages": len(mine), "answered": sum(took), "execution": _status(target, execution)}

    def watch(self, target: kit.Target, findings: Parked, done: Sequence[kit.Action]) -> None:
        with self._queue(target).taken() as messages:
            waiting = {_order(message) for message in messages}
        if again := waiting & {action.before["order"] for action in done}:
            raise kit.Stop(f"{', '.join(sorted(map(str, again)))} is parked again after its answer: mend the cause")

    def verify(self, target: kit.Target) -> list[kit.Check]:
        found = replace(self, decision=None).check(target)
        left = [f"{order.order_id}: {found.says(order)}" for order in found.orders]
        return [kit.Check("no order waits for a decision", not left, "; ".join(left))]

    def _queue(self, target: kit.Target) -> SqsQueue:
        return SqsQueue(target.client("sqs"), target.operations.queue_urls["operator"])

    def _plan_of(self, target: kit.Target, executions: Mapping[str, str]) -> kit.Action | None:
        """What is to be done now about the one order of ``executions``."""
        chosen = dict.fromkeys(executions, self.decision) if self.decision else {}
        return next(iter(self.plan(Parked(_facts(target, executions), 0, chosen))), None)


def _facts(target: kit.Target, executions: Mapping[str, str]) -> list[Facts]:
    """What is true of each order; ``executions`` is by its id."""
    if not executions:
        return []
    known: dict[str, dict[str, Any]] = {order: {} for order in executions}
    for service, statement in (("booking", _BOOKED), ("payment", _PAID)):
        with postgresql.connected(target, service) as database:
            for row in database.rows(statement, orders=list(executions)):
                known[row.pop("order_id")] |= row
    return [
        Facts(order_id=order, **_state(target, executions[order]), **facts) for order, facts in sorted(known.items())
    ]


def _state(target: kit.Target, execution: str) -> dict[str, Any]:
    """Whether an execution waits for a person, and what went wrong before it did."""
    known = target.client("stepfunctions").exceptions
    try:
        status = _status(target, execution)
    except (known.ExecutionDoesNotExist, known.InvalidArn):
        return {"execution": "not there", "waits": False}
    found = target.client("stepfunctions").get_execution_history(
        executionArn=execution, reverseOrder=True, maxResults=_EVENTS
    )
    events = sorted(found["events"], key=lambda event: event["id"], reverse=True)
    entered = [details["name"] for event in events if (details := event.get("stateEnteredEventDetails"))]
    wrong = next((n for n, event in enumerate(events) if _error(event)), None)
    if wrong is None:
        failed = ""
    else:
        step = next((d["name"] for event in events[wrong:] if (d := event.get("stateEnteredEventDetails"))), "a step")
        failed = f"{step}: {_error(events[wrong])}"
    return {"execution": status, "waits": status == "RUNNING" and entered[:1] == [_AWAITS], "failed": failed}


def _error(event: Mapping[str, Any]) -> str:
    details = (value for key, value in event.items() if key.endswith("EventDetails"))
    return next((str(each["error"]) for each in details if "error" in each), "")


def _status(target: kit.Target, execution: str) -> str:
    return str(target.client("stepfunctions").describe_execution(executionArn=execution)["status"])


def _answer(target: kit.Target, message: Message, decision: str) -> bool:
    """Answer a token; False when it was answered already, or belongs to a wait that is over."""
    machine = target.client("stepfunctions")
    known = machine.exceptions
    try:
        machine.send_task_success(taskToken=_body(message)["taskToken"], output=json.dumps({"decision": decision}))
    except (known.InvalidToken, known.TaskDoesNotExist, known.TaskTimedOut):
        return False
    return True


def _body(message: Message) -> dict[str, str]:
    body: dict[str, str] = json.loads(message.body)
    return body


def _order(message: Message) -> str | None:
    """The order that a message of the saga is about; None for a message of somebody else."""
    try:
        body = _body(message)
        _, _ = body["taskToken"], body["executionArn"]
        return str(UUID(body["orderId"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


app = kit.command(StuckSaga)
if __name__ == "__main__":
    app()
