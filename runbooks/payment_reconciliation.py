"""`python -m runbooks.payment_reconciliation`: where books and provider differ; refunds that two people want."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID, uuid5

import typer

from runbooks import _kit as kit
from runbooks._kit import postgresql
from runbooks._kit.postgresql import Database, Row

# An approval is of what somebody has just read.
_FRESH = timedelta(hours=1)
_DIFFERENCES = """
  SELECT d.since::text, d.subject, d.kind, d.ours, d.theirs, p.order_id::text AS order_id
  FROM discrepancies d
  LEFT JOIN refunds r ON d.subject IN (r.id::text, r.provider_id)
  LEFT JOIN payments p ON p.intent_id = d.subject OR (p.order_id, p.attempt) = (r.order_id, r.attempt)
    OR p.order_id::text || ':' || p.attempt = d.subject
  WHERE d.resolved_at IS NULL ORDER BY d.since, d.subject LIMIT 200"""
# What services/payment/refunding.py lets go back: captured, less refunds and what was lost in disputes.
_PAID = """
  SELECT p.order_id::text, p.attempt, p.status AS payment, p.intent_id, p.amount, p.currency,
         (p.amount - r.given_back - d.lost)::bigint AS remaining, r.tries::int, d.disputed
  FROM payments p
  CROSS JOIN LATERAL (
    SELECT count(*) AS tries, coalesce(sum(amount) FILTER (WHERE status <> 'failed'), 0) AS given_back
    FROM refunds WHERE (order_id, attempt) = (p.order_id, p.attempt)) r
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount) FILTER (WHERE status = 'lost'), 0) AS lost,
           coalesce(bool_or(status NOT IN ('won', 'lost', 'warning_closed', 'prevented')), false) AS disputed
    FROM disputes WHERE (order_id, attempt) = (p.order_id, p.attempt)) d
  WHERE p.order_id = ANY(CAST(:orders AS uuid[])) AND p.status NOT IN ('declined', 'cancelled')
  ORDER BY p.order_id, p.attempt"""
_BOOKED = """
  SELECT o.id::text AS order_id, o.status AS order_status, h.status AS hold,
         (SELECT count(*) FROM tickets t WHERE t.order_id = o.id AND t.status <> 'void')::int AS tickets
  FROM orders o JOIN holds h ON h.id = o.hold_id WHERE o.id = ANY(CAST(:orders AS uuid[]))"""
_LOCK = "SELECT 1 FROM payments WHERE order_id = CAST(:order AS uuid) AND attempt = :attempt FOR UPDATE"
# Payment's own loop carries out what it finds requested, with the key refund:ID at the provider.
_WISH = """
  INSERT INTO refunds (id, order_id, attempt, amount, reason, status)
  VALUES (CAST(:refund AS uuid), CAST(:order AS uuid), :attempt, :amount, 'requested', 'requested')
  ON CONFLICT DO NOTHING"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A payment with money in it, and what booking says of its order."""

    order_id: str
    attempt: int
    payment: str
    intent_id: str | None
    amount: int
    currency: str
    remaining: int
    tries: int
    disputed: bool
    order_status: str | None = None
    hold: str | None = None
    tickets: int = 0

    @property
    def refund_id(self) -> str:
        """The same whoever looks; one that failed has used its id up, here and as the provider's key."""
        return str(uuid5(UUID(self.order_id), f"reconciliation:{self.attempt}:{self.tries}"))

    @property
    def without_ticket(self) -> bool:
        """Whether somebody has paid for an order that was cancelled."""
        gone = self.order_status == "cancelled" and self.hold in ("released", "expired") and not self.tickets
        return gone and self.payment == "captured" and self.remaining > 0 and not self.disputed


@dataclass(frozen=True, slots=True)
class Found:
    """Open differences, the payments that they or a person name, and what was approved by whom."""

    differences: Sequence[Row]
    charges: Sequence[Charge]
    approvals: Mapping[str, str]

    @property
    def to_refund(self) -> list[Charge]:
        return [each for each in self.charges if each.without_ticket]

    def tables(self) -> list[kit.Table]:
        booked = {each.order_id: each.order_status for each in self.charges}
        columns = ("since", "subject", "kind", "ours", "theirs", "order_id")
        rows = [(*(row[name] for name in columns), booked.get(row["order_id"])) for row in self.differences]
        charged = [
            (each.order_id, each.payment, each.order_status, each.hold, each.tickets, each.remaining, each.currency,
             self.approvals.get(each.refund_id, "nobody") if each.without_ticket else "no refund")
            for each in self.charges
        ]  # fmt: skip
        return [
            kit.Table("open differences", (*columns, "order_status"), rows),
            kit.Table(
                "payments",
                ("order", "payment", "order_status", "hold", "tickets", "remaining", "currency", "approved_by"),
                charged,
            ),
        ]


@dataclass(frozen=True, kw_only=True)
class PaymentReconciliation(kit.Runbook[Found]):
    """Give back what was charged for orders that were cancelled; two people must want it.

    One approves what the dry run shows with --approve and their own credentials, another applies it. Only payments that
    are captured in our own books: whatever else differs is corrected by payment itself, or by a person.
    """

    aws = frozenset({"ssm:GetParameterHistory"})
    cap = 10

    order: Annotated[list[str], typer.Option(help="Also look at this order; may be repeated.")] = field(
        default_factory=list
    )
    approve: Annotated[bool, typer.Option("--approve", help="Approve the refunds instead of making them.")] = False
    most: Annotated[int, typer.Option(min=1, help="The most of one currency in a run, in minor units.")] = 50_000

    def check(self, target: kit.Target) -> Found:
        with postgresql.connected(target, "payment") as payment, postgresql.connected(target, "booking") as booking:
            differences = payment.rows(_DIFFERENCES)
            orders = sorted({*_ids(self.order), *(row["order_id"] for row in differences if row["order_id"])})
            charges = _charges(payment, booking, orders)
        found = Found(differences, charges, {})
        totals: Counter[str] = Counter()
        for each in found.to_refund[: self.cap]:
            totals[each.currency] += each.remaining
        if above := [f"{total} {currency}" for currency, total in totals.items() if total > self.most]:
            raise kit.Refused(
                f"{', '.join(above)} would go back, more than {self.most} in minor units at once: ask the owner of "
                "payments, who may raise --most"
            )
        approvals = {each.refund_id: who for each in found.to_refund if (who := _approved(target, each)[0])}
        return Found(differences, charges, approvals)

    def plan(self, findings: Found) -> list[kit.Action]:
        verb = "approve" if self.approve else "refund"
        return [
            kit.Action(
                id=f"{verb} {each.refund_id}",
                what=f"{verb} {each.remaining} {each.currency} of order {each.order_id}, which was cancelled",
                before={
                    "refund": each.refund_id,
                    "order": each.order_id,
                    "attempt": each.attempt,
                    "remaining": each.remaining,
                    "currency": each.currency,
                },
                after={"approved": each.remaining} if self.approve else {"remaining": 0},
                no_undo="" if self.approve else "money that goes back cannot be taken again",
            )
            for each in findings.to_refund
            if not (self.approve and each.refund_id in findings.approvals)
        ]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        wanted = action.before
        with postgresql.connected(target, "payment") as payment, postgresql.connected(target, "booking") as booking:
            payment.rows("START TRANSACTION")
            payment.rows(_LOCK, order=wanted["order"], attempt=wanted["attempt"])
            now = next((e for e in _charges(payment, booking, [wanted["order"]]) if _same(e, wanted)), None)
            if now is None:
                raise kit.Stop(f"what is true of order {wanted['order']} has changed since: make a new dry run")
            if self.approve:
                target.client("ssm").put_parameter(
                    Name=_name(target, now), Value=_terms(now), Type="String", Overwrite=True
                )
                return {"approved": now.remaining}
            who, why_not = _approved(target, now)
            if why_not:
                raise kit.Stop(why_not)
            payment.rows(_WISH, refund=now.refund_id, order=now.order_id, attempt=now.attempt, amount=now.remaining)
            payment.rows("COMMIT")
        return {"refund": now.refund_id, "approved_by": who}

    def undo(self, target: kit.Target, action: kit.Action, result: Mapping[str, Any], snapshot: Any) -> None:
        """Withdraw an approval."""
        ssm = target.client("ssm")
        name = f"/{target.identity.environment}/runbooks/{self.name()}/approval/{action.before['refund']}"
        try:
            ssm.delete_parameter(Name=name)
        except ssm.exceptions.ParameterNotFound:
            return

    def verify(self, target: kit.Target) -> list[kit.Check]:
        found = self.check(target)
        if self.approve:
            left = [each.order_id for each in found.to_refund if each.refund_id not in found.approvals]
            return [kit.Check("every refund is approved", not left, ", ".join(left))]
        left = [each.order_id for each in found.to_refund]
        return [kit.Check("no cancelled order is charged without a refund on its way", not left, ", ".join(left))]


def _ids(orders: Sequence[str]) -> list[str]:
    """Raises Refused for what is no order's id."""
    try:
        return [str(UUID(order)) for order in orders]
    except ValueError as error:
        raise kit.Refused(f"--order {' '.join(orders)}: an order's id is a UUID, as booking shows it") from error


def _charges(payment: Database, booking: Database, orders: Sequence[str]) -> list[Charge]:
    booked = {row.pop("order_id"): row for row in booking.rows(_BOOKED, orders=list(orders))}
    return [Charge(**row, **booked.get(row["order_id"], {})) for row in payment.rows(_PAID, orders=list(orders))]


def _same(now: Charge, wanted: Mapping[str, Any]) -> bool:
    return now.without_ticket and (now.refund_id, now.remaining) == (wanted["refund"], wanted["remaining"])


def _name(target: kit.Target, charge: Charge) -> str:
    return f"/{target.identity.environment}/runbooks/{PaymentReconciliation.name()}/approval/{charge.refund_id}"


def _terms(charge: Charge) -> str:
    return json.dumps({"amount": charge.remaining, "currency": charge.currency, "order": charge.order_id})


def _approved(target: kit.Target, charge: Charge) -> tuple[str, str]:
    """Who approved a refund; or nobody, and why what there is does not count. AWS says who, not the approval itself."""
    ssm, own = target.client("ssm"), target.identity.who
    missing = f"nobody has approved the refund of order {charge.order_id}: somebody else runs this with --approve"
    try:
        pages = list(ssm.get_paginator("get_parameter_history").paginate(Name=_name(target, charge)))
    except ssm.exceptions.ParameterNotFound:
        return "", missing
    last = max((each for page in pages for each in page["Parameters"]), key=lambda each: int(each["Version"]))
    who = str(last["LastModifiedUser"])
    if last["Value"] != _terms(charge) or datetime.now(UTC) - last["LastModifiedDate"] > _FRESH:
        return "", f"the approval for order {charge.order_id} is of another sum or over an hour old: approve anew"
    if who == own:
        return who, f"{own} has approved the refund of order {charge.order_id}: another person has to make it"
    return who, ""


app = kit.command(PaymentReconciliation)
if __name__ == "__main__":
    app()
