"""How long payment keeps what, and why."""

from __future__ import annotations

from typing import Final

from services.common.retention import ALWAYS, DAY, MESSAGING, Kept, Rule, removing

RULES: Final = (
    *MESSAGING,
    Rule(
        name="webhook_events",
        table="webhook_events",
        rows="ids of Stripe's events that were followed up, or are about nothing of ours",
        age=30 * DAY,
        least=4 * DAY,
        why="Stripe repeats an event for three days, and shows it to people for thirty",
        index="webhook_events_received",
        statement=removing(
            "webhook_events",
            "id",
            "received_at",
            only="(processed_at IS NOT NULL OR coalesce(intent_id, object_id) IS NULL)",
        ),
    ),
)
KEPT: Final = (
    ALWAYS,
    Kept(
        ("payments", "refunds", "disputes", "payouts"),
        "ten years from the end of the financial year",
        "accounts (Code de commerce, L123-22); erasure leaves a pseudonym, and not how the buyer paid",
    ),
    Kept(
        ("ledger_transactions", "ledger_entries"),
        "ten years from the end of the financial year",
        "accounts, which nobody can change or remove; they name orders, not people",
    ),
    Kept(
        ("reconciliations", "discrepancies"),
        "ten years from the end of the financial year",
        "they prove that the accounts were compared; they name no people",
    ),
)
