"""What the services say to each other: saga commands, errors, events, and the ids that they carry.

Plain values, so that the builder of the state machine, the tests and the documentation can follow them without
importing a service. `docs/saga.md` explains the contract in prose.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

EVENTS_EXCHANGE: Final = "platform.events"
DEAD_LETTERS_EXCHANGE: Final = "platform.dead-letters"


class Command(StrEnum):
    """A step of the saga; the part before the dot is the service whose queue receives it."""

    AUTHORISE = "payment.authorise"
    CONFIRM_SEATS = "booking.confirm_seats"
    CAPTURE = "payment.capture"
    ISSUE_TICKETS = "booking.issue_tickets"
    SEND_NOTIFICATION = "notification.send"
    CANCEL_PAYMENT = "payment.cancel"
    REFUND = "payment.refund"
    RELEASE = "booking.release"
    CANCEL_ORDER = "booking.cancel_order"
    NEEDS_OPERATOR = "booking.needs_operator"

    @property
    def service(self) -> str:
        """The service that carries the command out."""
        return self.value.split(".", 1)[0]


FORWARD: Final = (
    Command.AUTHORISE,
    Command.CONFIRM_SEATS,
    Command.CAPTURE,
    Command.ISSUE_TICKETS,
    Command.SEND_NOTIFICATION,
)


class Failure(StrEnum):
    """The `error` of a SendTaskFailure. The first two may be retried; the others are decided."""

    TRANSIENT = "Transient"
    PAYMENT_UNKNOWN = "Payment.Unknown"
    PAYMENT_DECLINED = "Payment.Declined"
    HOLD_LOST = "Hold.Lost"
    SEAT_GONE = "Seat.Gone"
    REFUSED = "Refused"
    INVALID = "Command.Invalid"


class Event(StrEnum):
    """Routing keys on the topic exchange `platform.events`.

    ``order.refund_requested`` is booking's wish, ``payment.refunded`` or ``payment.refund_failed`` the answer: all
    three carry ``refundId`` and ``amount`` (minor units, as text) beside the ids. ``buyer.erased`` tells each service
    to remove what it has of ``buyerId``, and to go on with ``pseudonym`` where something must be kept.
    """

    BUYER_ERASED = "buyer.erased"
    EVENT_CHANGED = "event.changed"
    ORDER_PLACED = "order.placed"
    ORDER_COMPLETED = "order.completed"
    ORDER_CANCELLED = "order.cancelled"
    ORDER_NEEDS_OPERATOR = "order.needs_operator"
    ORDER_REFUND_REQUESTED = "order.refund_requested"
    ORDER_REFUNDED = "order.refunded"
    TICKET_ISSUED = "ticket.issued"
    TICKET_TRANSFERRED = "ticket.transferred"
    OFFER_MADE = "offer.made"
    PAYMENT_ACTION_REQUIRED = "payment.action_required"
    PAYMENT_AUTHORISED = "payment.authorised"
    PAYMENT_CAPTURED = "payment.captured"
    PAYMENT_CANCELLED = "payment.cancelled"
    PAYMENT_REFUNDED = "payment.refunded"
    PAYMENT_REFUND_FAILED = "payment.refund_failed"
    PAYMENT_DISPUTED = "payment.disputed"


# No control characters: PostgreSQL's text has no NUL, and nobody makes ids of the others.
PRINTABLE: Final = r"^[^\x00-\x1f\x7f]+$"
Id = Annotated[str, Field(min_length=1, max_length=128, pattern=PRINTABLE)]


class _Message(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True
    )


class SagaInput(_Message):
    """The input of an execution: ids and the money terms. ``amount`` is in minor units (cents). In JSON, camelCase."""

    order_id: Id
    buyer_id: Id
    amount: int = Field(ge=1)
    currency: str = Field(pattern="^[a-z]{3}$")
    payment_method: Id
    # W3C's, so that the saga's commands belong to the trace of their checkout; absent when nothing is traced.
    traceparent: str | None = Field(default=None, max_length=128, exclude_if=lambda value: value is None)


class SagaMessage(_Message):
    """The body of an SQS message that carries a command and its task token."""

    command: Command
    task_token: str = Field(min_length=1, max_length=2048)
    execution_arn: str = Field(min_length=1, max_length=2048)
    order_id: Id
    input: SagaInput
    attempt: int = Field(default=1, ge=1)

    @property
    def message_id(self) -> str:
        """What makes two deliveries the same command: one answer per execution and command, whatever the token."""
        return f"{self.execution_arn}/{self.command.value}"


class EventMessage(_Message):
    """The body of an event. ``ids`` name what it is about; whoever wants more asks the service that owns it."""

    id: Id
    type: Event
    occurred_at: str
    ids: dict[str, str]
