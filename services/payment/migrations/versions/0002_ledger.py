"""The ledger, refunds in parts, disputes, payouts, reconciliation, and payments that wait for the buyer's bank.

Two rules of the ledger are the database's own: a transaction balances in each currency, checked at commit, and nothing
of it is ever changed or removed, by whomever (triggers: they bind the owner too).
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

_STATUSES_V1 = "'started', 'authorised', 'captured', 'declined', 'cancelling', 'cancelled', 'refunded'"

PAYMENTS = (
    "ALTER TABLE payments DROP CONSTRAINT payments_status_check",
    f"""ALTER TABLE payments ADD CONSTRAINT payments_status_check
          CHECK (status IN ({_STATUSES_V1}, 'action_required'))""",
    "ALTER TABLE payments ADD COLUMN fee bigint NOT NULL DEFAULT 0 CHECK (fee >= 0 AND fee <= amount)",
    "ALTER TABLE payments ADD COLUMN client_secret text",
    "ALTER TABLE payments ADD COLUMN action_deadline timestamptz",
    "CREATE INDEX payments_action ON payments (action_deadline) WHERE action_deadline IS NOT NULL",
    "CREATE INDEX payments_created ON payments (created_at)",
    "ALTER TABLE webhook_events ADD COLUMN object_id text",
    "ALTER TABLE webhook_events ADD COLUMN attempts integer NOT NULL DEFAULT 0",
)
LEDGER = (
    """CREATE TABLE ledger_transactions (
         id uuid PRIMARY KEY,
         cause text NOT NULL UNIQUE,
         kind text NOT NULL,
         order_id uuid,
         attempt integer,
         created_at timestamptz NOT NULL DEFAULT now(),
         FOREIGN KEY (order_id, attempt) REFERENCES payments)""",
    "CREATE INDEX ledger_transactions_payment ON ledger_transactions (order_id, attempt)",
    """CREATE TABLE ledger_entries (
         transaction_id uuid NOT NULL REFERENCES ledger_transactions,
         account text NOT NULL CHECK (account IN
           ('processor_clearing', 'organiser_payable', 'platform_fee', 'disputes', 'bank')),
         currency text NOT NULL,
         amount bigint NOT NULL CHECK (amount <> 0),
         PRIMARY KEY (transaction_id, account, currency))""",
    # A transaction is closed with the database transaction that wrote it: created_at is the latter's own time.
    """CREATE FUNCTION ledger_balances() RETURNS trigger LANGUAGE plpgsql AS $$
       DECLARE checked uuid := (to_jsonb(NEW) ->> TG_ARGV[0])::uuid;
       BEGIN
         IF NOT EXISTS (SELECT FROM ledger_entries WHERE transaction_id = checked)
            OR EXISTS (SELECT FROM ledger_entries WHERE transaction_id = checked
                       GROUP BY currency HAVING sum(amount) <> 0) THEN
           RAISE EXCEPTION 'ledger transaction % does not balance', checked USING ERRCODE = 'check_violation';
         END IF;
         IF EXISTS (SELECT FROM ledger_transactions WHERE id = checked AND created_at <> now()) THEN
           RAISE EXCEPTION 'ledger transaction % is closed', checked USING ERRCODE = 'check_violation';
         END IF;
         RETURN NULL;
       END $$""",
    """CREATE FUNCTION ledger_stands() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         RAISE EXCEPTION 'the ledger is only added to: correct it with another transaction'
           USING ERRCODE = 'insufficient_privilege';
       END $$""",
)
REFUNDS = (
    """CREATE TABLE refunds (
         id uuid PRIMARY KEY,
         order_id uuid NOT NULL,
         attempt integer NOT NULL,
         amount bigint NOT NULL CHECK (amount > 0),
         reason text NOT NULL,
         status text NOT NULL CHECK (status IN ('requested', 'succeeded', 'failed')),
         provider_id text UNIQUE,
         failure text,
         attempts integer NOT NULL DEFAULT 0,
         available_at timestamptz NOT NULL DEFAULT now(),
         requested_at timestamptz NOT NULL DEFAULT now(),
         updated_at timestamptz NOT NULL DEFAULT now(),
         FOREIGN KEY (order_id, attempt) REFERENCES payments)""",
    "CREATE INDEX refunds_payment ON refunds (order_id, attempt)",
    "CREATE INDEX refunds_requested ON refunds (requested_at)",
    "CREATE INDEX refunds_waiting ON refunds (available_at) WHERE status = 'requested'",
)
DISPUTES_AND_PAYOUTS = (
    """CREATE TABLE disputes (
         id text PRIMARY KEY,
         order_id uuid NOT NULL,
         attempt integer NOT NULL,
         amount bigint NOT NULL CHECK (amount > 0),
         reason text NOT NULL,
         status text NOT NULL,
         opened_at timestamptz NOT NULL DEFAULT now(),
         updated_at timestamptz NOT NULL DEFAULT now(),
         FOREIGN KEY (order_id, attempt) REFERENCES payments)""",
    "CREATE INDEX disputes_payment ON disputes (order_id, attempt)",
    """CREATE TABLE payouts (
         id text PRIMARY KEY,
         kind text NOT NULL CHECK (kind IN ('transfer', 'payout')),
         amount bigint NOT NULL CHECK (amount > 0),
         reversed bigint NOT NULL DEFAULT 0 CHECK (reversed BETWEEN 0 AND amount),
         currency text NOT NULL,
         status text NOT NULL,
         destination text,
         created_at timestamptz NOT NULL,
         updated_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX payouts_created ON payouts (created_at DESC)",
)
RECONCILIATION = (
    """CREATE TABLE reconciliations (
         since timestamptz PRIMARY KEY,
         until timestamptz NOT NULL CHECK (until > since),
         lease_until timestamptz NOT NULL,
         finished_at timestamptz,
         payments integer,
         refunds integer)""",
    """CREATE TABLE discrepancies (
         since timestamptz NOT NULL REFERENCES reconciliations,
         subject text NOT NULL,
         kind text NOT NULL CHECK (kind IN ('missing_here', 'missing_there', 'amount', 'status', 'ledger')),
         ours text,
         theirs text,
         found_at timestamptz NOT NULL DEFAULT now(),
         resolved_at timestamptz,
         PRIMARY KEY (since, subject, kind))""",
    "CREATE INDEX discrepancies_open ON discrepancies (since) WHERE resolved_at IS NULL",
)
# What was captured and refunded before there was a ledger; a refund was always in full, and there was no fee.
BEFORE = (
    """INSERT INTO refunds (id, order_id, attempt, amount, reason, status, provider_id)
       SELECT gen_random_uuid(), order_id, attempt, amount, 'saga', 'succeeded', refund_id
       FROM payments WHERE status = 'refunded'""",
    """INSERT INTO ledger_transactions (id, cause, kind, order_id, attempt)
       SELECT gen_random_uuid(), 'capture:' || order_id || ':' || attempt, 'capture', order_id, attempt
       FROM payments WHERE status IN ('captured', 'refunded')""",
    """INSERT INTO ledger_transactions (id, cause, kind, order_id, attempt)
       SELECT gen_random_uuid(), 'refund:' || id, 'refund', order_id, attempt FROM refunds""",
    """INSERT INTO ledger_entries (transaction_id, account, currency, amount)
       SELECT t.id, e.account, p.currency, e.sign * CASE t.kind WHEN 'capture' THEN p.amount ELSE -p.amount END
       FROM ledger_transactions t JOIN payments p USING (order_id, attempt)
       CROSS JOIN (VALUES ('processor_clearing', 1), ('organiser_payable', -1)) AS e (account, sign)""",
)
TRIGGERS = (
    """CREATE CONSTRAINT TRIGGER ledger_balances AFTER INSERT ON ledger_entries DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW EXECUTE FUNCTION ledger_balances('transaction_id')""",
    """CREATE CONSTRAINT TRIGGER ledger_balances AFTER INSERT ON ledger_transactions DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW EXECUTE FUNCTION ledger_balances('id')""",
    *(
        f"""CREATE TRIGGER ledger_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION ledger_stands()"""
        for table in ("ledger_transactions", "ledger_entries")
    ),
)


def upgrade() -> None:
    """Add; what stands is backfilled before the triggers bind."""
    groups = (PAYMENTS, LEDGER, REFUNDS, DISPUTES_AND_PAYOUTS, RECONCILIATION, BEFORE, TRIGGERS)
    for statement in (statement for group in groups for statement in group):
        op.execute(statement)


def downgrade() -> None:
    """Drop what was added; who was with their bank starts again."""
    for table in (
        "discrepancies",
        "reconciliations",
        "payouts",
        "disputes",
        "refunds",
        "ledger_entries",
        "ledger_transactions",
    ):
        op.execute(f"DROP TABLE {table}")
    for statement in (
        "DROP FUNCTION ledger_balances, ledger_stands",
        "ALTER TABLE webhook_events DROP COLUMN object_id, DROP COLUMN attempts",
        "DROP INDEX payments_created",
        "ALTER TABLE payments DROP COLUMN fee, DROP COLUMN client_secret, DROP COLUMN action_deadline",
        "UPDATE payments SET status = 'started' WHERE status = 'action_required'",
        "ALTER TABLE payments DROP CONSTRAINT payments_status_check",
        f"ALTER TABLE payments ADD CONSTRAINT payments_status_check CHECK (status IN ({_STATUSES_V1}))",
    ):
        op.execute(statement)
