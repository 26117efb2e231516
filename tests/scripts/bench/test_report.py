"""The arithmetic of a benchmark, and what it reads; no time is measured here."""

from __future__ import annotations

import json
import uuid

import pytest

from scripts.bench import pgbench, report
from scripts.bench.report import Comparison, Series

SUMMARY = """pgbench (15.14 (Debian 15.14-0+deb12u1))
transaction type: -
scaling factor: 1
query mode: prepared
number of clients: 64
number of threads: 1
maximum number of tries: 1
duration: 1 s
number of transactions actually processed: 151
number of failed transactions: 3 (1.948%)
latency average = 420.128 ms
initial connection time = 612.342 ms
tps = 152.334500 (without initial connection time)
"""


def comparison(measured: tuple[float, ...], floor: tuple[float, ...]) -> Comparison:
    return Comparison(Series("ours", "what we do", measured), Series("floor", "the least", floor), "s", "lower")


def test_a_series_is_judged_by_its_median_so_that_one_disturbed_repeat_moves_nothing() -> None:
    assert Series("ours", "", (2.0, 900.0, 1.0)).median == 2.0
    assert Series("ours", "", (1.0, 2.0, 4.0, 900.0)).median == 3.0


def test_the_ratio_is_the_median_of_what_was_measured_by_the_median_of_its_floor() -> None:
    assert comparison((6.0, 5.0, 70.0), (2.0, 0.1, 4.0)).ratio == 3.0


def test_arms_are_measured_in_turn_and_every_other_round_goes_backwards() -> None:
    order: list[str] = []

    def arm(name: str) -> report.Sample:
        def sample() -> float:
            order.append(name)
            return float(len(order))

        return sample

    taken = report.interleaved({name: arm(name) for name in "abc"}, 3, lambda _: None)

    assert "".join(order) == "abccbaabc"
    assert taken == {"a": (1.0, 6.0, 7.0), "b": (2.0, 5.0, 8.0), "c": (3.0, 4.0, 9.0)}


def test_json_holds_every_sample_and_the_ratio() -> None:
    shown = json.loads(json.dumps(comparison((6.0, 6.0), (2.0, 4.0)).as_dict()))
    assert shown["measured"]["samples"] == [6.0, 6.0]
    assert shown["floor"]["median"] == 3.0
    assert shown["ratio"] == 2.0


def test_the_table_names_the_floor_and_shows_ratio_and_spread() -> None:
    columns, [row] = report.table([comparison((1234.4, 90.0, 1300.0), (0.5,))])
    assert len(columns) == len(row)
    assert row[:5] == ["ours", "1,234 s (90 to 1,300)", "floor", "0.5 s (0.5 to 0.5)", "2468.80"]


def test_the_rate_and_the_failures_of_pgbench_are_read() -> None:
    assert pgbench.parse(SUMMARY) == pgbench.Outcome(rate=152.3345, failed=3)


def test_what_pgbench_says_when_it_has_no_rate_is_shown() -> None:
    with pytest.raises(pgbench.Unreadable, match="connection to server failed"):
        pgbench.parse("pgbench: error: connection to server failed")


def test_pgbench_takes_one_hold_in_one_statement() -> None:
    ticket_type = uuid.uuid4()
    script = pgbench.script(ticket_type)
    assert str(ticket_type) in script
    assert (script.count("\n"), script.count(";")) == (1, 1)
    assert not {"{", "}", "$"} & set(script)
