"""Vouchers: what a code takes off an order."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

# Minor units: Stripe's least charge in euros (docs.stripe.com/currencies, "Minimum and maximum charge amounts").
LEAST_AMOUNT: Final = 50


class VoucherUnusable(Exception):
    """The code is unknown, used up, expired, or for something else."""


@dataclass(frozen=True, slots=True)
class Voucher:
    """Either ``percent`` or ``amount_off`` (minor units) is set."""

    id: uuid.UUID
    percent: int | None
    amount_off: int | None

    def off(self, amount: int) -> int:
        """What is left to pay of ``amount``; never less than what can be charged."""
        reduced = amount - (self.amount_off or 0) - amount * (self.percent or 0) // 100
        return max(min(amount, LEAST_AMOUNT), reduced)
