"""`python -m runbooks.oversell_audit`: pools that do not add up, taken off sale; counters corrected when asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import typer

from runbooks import _kit as kit
from runbooks._kit import postgresql
from runbooks._kit.postgresql import Row

# The truth of booking's own audit (services/booking/adapters/audit.py), in one snapshot.
_COUNTED = """
  SELECT p.id::text AS pool, p.name, e.name AS event, p.capacity, p.held, p.sold, p.waiting,
         h.held AS really_held, h.sold AS really_sold, w.waiting AS really_waiting, s.taken AS seats_taken, p.seated
  FROM pools p JOIN events e ON e.id = p.event_id
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(quantity) FILTER (WHERE h.status = 'active'), 0)::int AS held,
           coalesce(sum(quantity) FILTER (WHERE h.status = 'confirmed'), 0)::int AS sold
    FROM ticket_types t JOIN holds h ON h.ticket_type_id = t.id AND h.status IN ('active', 'confirmed')
    WHERE t.pool_id = p.id) h
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS waiting FROM waiting_list WHERE pool_id = p.id AND status = 'waiting') w
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS taken FROM seats WHERE pool_id = p.id AND hold_id IS NOT NULL) s"""
_WRONG = """
  h.held + h.sold > p.capacity OR p.held <> h.held OR p.sold <> h.sold OR p.waiting <> w.waiting
  OR (p.seated AND h.held + h.sold <> s.taken)"""
_AUDIT = f"{_COUNTED} WHERE e.starts_at > now() - 2 * interval '1 day' AND ({_WRONG}) ORDER BY 3, 2, 1"
_OF_POOL = f"{_COUNTED} WHERE p.id = CAST(:pool AS uuid)"
# PostgreSQL wants a sale to begin before it ends: one that has not begun ends as it begins.
_END = "greatest(now(), sales_from + interval '1 microsecond')"
_ON_SALE = f"""
  SELECT pool_id::text AS pool, id::text AS ticket_type, sales_until::text AS until FROM ticket_types
  WHERE pool_id = ANY(CAST(:pools AS uuid[])) AND sales_until > {_END} ORDER BY 1, 2"""
_TAKE_OFF = f"UPDATE ticket_types SET sales_until = {_END} WHERE pool_id = CAST(:pool AS uuid) AND sales_until > {_END}"
_PUT_BACK = """
  UPDATE ticket_types SET sales_until = CAST(:until AS timestamptz) WHERE id = CAST(:ticket_type AS uuid)"""
# Whoever takes places waits for this lock first, so what is counted after it is the truth.
_LOCK = "SELECT id FROM pools WHERE id = CAST(:pool AS uuid) FOR UPDATE"
_CORRECT = """
  UPDATE pools SET held = held + :held, sold = sold + :sold, waiting = waiting + :waiting
  WHERE id = CAST(:pool AS uuid)"""
_COUNTERS = ("held", "sold", "waiting")


@dataclass(frozen=True, slots=True)
class Found:
    """Pools that do not add up, and which ticket types of theirs are on sale until when."""

    pools: Sequence[Row]
    on_sale: Mapping[str, Mapping[str, str]]

    def tables(self) -> list[kit.Table]:
        columns = ("pool", "event", "name", "capacity", "held", "really_held", "sold", "really_sold", "waiting",
                   "really_waiting", "on_sale")  # fmt: skip
        rows = [
            tuple({**each, "on_sale": len(self.on_sale.get(each["pool"], ()))}[name] for name in columns)
            for each in self.pools
        ]
        return [kit.Table("pools that do not add up", columns, rows)]


@dataclass(frozen=True, kw_only=True)
class OversellAudit(kit.Runbook[Found]):
    """Take pools off sale that could be sold beyond their places; with --correct, bring counters to what rows say.

    Counters that are too high keep places empty and nothing worse: such a pool stays on sale.
    """

    pool: Annotated[list[str], typer.Option(help="Only this pool; may be repeated.")] = field(default_factory=list)
    correct: Annotated[bool, typer.Option("--correct", help="Also bring the counters to what the rows say.")] = False

    def check(self, target: kit.Target) -> Found:
        with postgresql.connected(target, "booking") as booking:
            found = [row for row in booking.rows(_AUDIT) if not self.pool or row["pool"] in self.pool]
            on_sale: dict[str, dict[str, str]] = {}
            for row in booking.rows(_ON_SALE, pools=[each["pool"] for each in found]):
                on_sale.setdefault(row["pool"], {})[row["ticket_type"]] = row["until"]
        if self.correct and (over := [each["pool"] for each in found if _oversold(each)]):
            raise kit.Refused(
                f"more is held and sold than there are places in {', '.join(over)}: no counter corrects that; take it "
                "off sale without --correct, escalate, and name others with --pool"
            )
        return Found(found, on_sale)

    def plan(self, findings: Found) -> list[kit.Action]:
        off_sale = [
            kit.Action(
                id=f"off sale {row['pool']}",
                what=f"take {row['name']} of {row['event']} off sale",
                before={"pool": row["pool"], "on_sale": dict(on_sale)},
                after={"on_sale": {}},
            )
            for row in findings.pools
            if _risky(row) and (on_sale := findings.on_sale.get(row["pool"]))
        ]
        corrected = [
            kit.Action(
                id=f"correct {row['pool']}",
                what=f"correct the counters of {row['name']} of {row['event']} by {_told(row)}",
                # Holds come and go while this is read; what the counters are off by stays.
                before={"pool": row["pool"], "off_by": _off_by(row)},
                after={"off_by": dict.fromkeys(_COUNTERS, 0)},
            )
            for row in findings.pools
            if self.correct and any(_off_by(row).values())
        ]
        return [*off_sale, *corrected]

    def snapshot(self, target: kit.Target, action: kit.Action) -> Any:
        with postgresql.connected(target, "booking") as booking:
            if "on_sale" in action.before:
                return booking.rows(_ON_SALE, pools=[action.before["pool"]])
            return booking.rows(_OF_POOL, pool=action.before["pool"])

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        pool = action.before["pool"]
        with postgresql.connected(target, "booking") as booking:
            if "on_sale" in action.before:
                booking.rows(_TAKE_OFF, pool=pool)
                return {}
            booking.rows("START TRANSACTION")
            booking.rows(_LOCK, pool=pool)
            [row] = booking.rows(_OF_POOL, pool=pool)
            if _off_by(row) != action.before["off_by"]:
                raise kit.Stop(f"pool {pool} is off by {_told(row)} now: something still changes it, mend that first")
            booking.rows(_CORRECT, pool=pool, **_off_by(row))
            booking.rows("COMMIT")
        return {"corrected_by": _off_by(row)}

    def undo(self, target: kit.Target, action: kit.Action, result: Mapping[str, Any], snapshot: Any) -> None:
        pool = action.before["pool"]
        with postgresql.connected(target, "booking") as booking:
            if "on_sale" in action.before:
                for row in snapshot:
                    booking.rows(_PUT_BACK, ticket_type=row["ticket_type"], until=row["until"])
                return
            booking.rows("START TRANSACTION")
            booking.rows(_LOCK, pool=pool)
            [row] = booking.rows(_OF_POOL, pool=pool)
            if not any(_off_by(row).values()):
                booking.rows(_CORRECT, pool=pool, **{name: -by for name, by in result["corrected_by"].items()})
            booking.rows("COMMIT")

    def verify(self, target: kit.Target) -> list[kit.Check]:
        found = replace(self, correct=False).check(target)
        risky = [row["pool"] for row in found.pools if _risky(row) and found.on_sale.get(row["pool"])]
        checks = [kit.Check("no pool is on sale that could be oversold", not risky, ", ".join(risky))]
        if self.correct:
            wrong = [row["pool"] for row in found.pools]
            checks.append(kit.Check("every pool adds up", not wrong, ", ".join(wrong)))
        return checks


def _oversold(row: Row) -> bool:
    return bool(row["really_held"] + row["really_sold"] > row["capacity"])


def _risky(row: Row) -> bool:
    """Whether a sale could go beyond the places: the counters, or the seats, say less than is taken."""
    really = row["really_held"] + row["really_sold"]
    return _oversold(row) or row["held"] + row["sold"] < really or (row["seated"] and row["seats_taken"] < really)


def _off_by(row: Row) -> dict[str, int]:
    return {name: row[f"really_{name}"] - row[name] for name in _COUNTERS}


def _told(row: Row) -> str:
    return ", ".join(f"{name} {by:+d}" for name, by in _off_by(row).items() if by) or "nothing"


app = kit.command(OversellAudit)
if __name__ == "__main__":
    app()
