"""What each move of money means in the double-entry ledger: pure, and each posting sums to zero.

Signs: a debit is positive, a credit negative. `processor_clearing` and `bank` are ours to have; `organiser_payable` is
owed; `platform_fee` is earned; `disputes` is what banks hold until a dispute is settled. An authorisation moves nothing
and is not here. The provider's own fees are in its balance, and are none of these accounts.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from services.payment.domain import Dispute, Payment, Payout, Refund


class Account(StrEnum):
    """The accounts."""

    CLEARING = "processor_clearing"
    ORGANISER = "organiser_payable"
    FEE = "platform_fee"
    DISPUTES = "disputes"
    BANK = "bank"


@dataclass(frozen=True, slots=True)
class Posting:
    """One balanced transaction; ``cause`` is unique, so that a repetition posts nothing. Amounts in minor units."""

    kind: str
    cause: str
    currency: str
    entries: Mapping[Account, int] = field(repr=False)
    payment: tuple[uuid.UUID, int] | None = None


def captured(payment: Payment) -> Posting:
    """The buyer's money has come: what is not the platform's fee is the organiser's."""
    owed = {Account.ORGANISER: payment.fee - payment.amount, Account.FEE: -payment.fee}
    return _of(payment, "capture", payment.id, {Account.CLEARING: payment.amount, **owed})


def refunded(payment: Payment, refund: Refund, *, before: int, fee_returned: int) -> Posting:
    """Money has gone back: the fee goes back with it, in proportion, and all of it with the last part.

    ``before`` is what had gone back until then, ``fee_returned`` the fee in it.
    """
    fee = payment.fee * (before + refund.amount) // payment.amount - fee_returned
    entries = {Account.CLEARING: -refund.amount, Account.ORGANISER: refund.amount - fee, Account.FEE: fee}
    return _of(payment, "refund", str(refund.id), entries)


def refund_failed(payment: Payment, refund: Refund, posted: Mapping[Account, int]) -> Posting:
    """A refund that had succeeded came back: what was ``posted`` for it, the other way round."""
    return _of(payment, "refund_failed", str(refund.id), {account: -amount for account, amount in posted.items()})


def dispute_opened(payment: Payment, dispute: Dispute) -> Posting:
    """The bank has taken the money back for now."""
    entries = {Account.CLEARING: -dispute.amount, Account.DISPUTES: dispute.amount}
    return _of(payment, "dispute_opened", dispute.id, entries)


def dispute_won(payment: Payment, dispute: Dispute) -> Posting:
    """The money came back."""
    entries = {Account.CLEARING: dispute.amount, Account.DISPUTES: -dispute.amount}
    return _of(payment, "dispute_won", dispute.id, entries)


def dispute_lost(payment: Payment, dispute: Dispute) -> Posting:
    """The money is gone, and the organiser bears it."""
    entries = {Account.ORGANISER: dispute.amount, Account.DISPUTES: -dispute.amount}
    return _of(payment, "dispute_lost", dispute.id, entries)


def transferred(payout: Payout) -> Posting:
    """An organiser has been paid."""
    entries = {Account.ORGANISER: payout.amount, Account.CLEARING: -payout.amount}
    return Posting("transfer", f"transfer:{payout.id}", payout.currency, entries)


def transfer_reversed(payout: Payout, before: int) -> Posting:
    """Part of a transfer came back; ``before`` is what had come back until then."""
    amount = payout.reversed - before
    entries = {Account.ORGANISER: -amount, Account.CLEARING: amount}
    return Posting("transfer_reversed", f"transfer_reversed:{payout.id}:{payout.reversed}", payout.currency, entries)


def paid_out(payout: Payout) -> Posting:
    """The platform's own money has left the provider for the bank."""
    entries = {Account.BANK: payout.amount, Account.CLEARING: -payout.amount}
    return Posting("payout", f"payout:{payout.id}", payout.currency, entries)


def payout_failed(payout: Payout) -> Posting:
    """The bank has sent it back."""
    entries = {Account.BANK: -payout.amount, Account.CLEARING: payout.amount}
    return Posting("payout_failed", f"payout_failed:{payout.id}", payout.currency, entries)


def _of(payment: Payment, kind: str, subject: str, entries: Mapping[Account, int]) -> Posting:
    return Posting(kind, f"{kind}:{subject}", payment.currency, entries, (payment.order_id, payment.attempt))
