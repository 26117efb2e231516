"""When storage is grown and by how much, and which slots are dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.rds_storage_full import RdsStorageFull
from tests.runbooks.bench import Bench
from tests.runbooks.faults.rds_storage_full import Storage


@pytest.fixture
def bench(storage: Storage, tmp_path: Path) -> Bench:
    return Bench(RdsStorageFull(service="booking", patience=0), storage.instances.environment, tmp_path)


def shown(bench: Bench) -> dict[str, Any]:
    """What a dry run says of the storage."""
    rows: list[dict[str, Any]] = bench.engine().dry_run().findings[0]["rows"]
    return rows[0]


def test_it_says_how_long_the_storage_lasts_at_this_pace(storage: Storage, bench: Bench) -> None:
    storage.instances.free(storage.instance, 40, 30, 20)
    told = shown(bench)
    assert (told["free_gib"], told["hours_left"], told["size_gib"]) == (20, 2, 100)


def test_with_more_than_a_tenth_free_nothing_grows(storage: Storage, bench: Bench) -> None:
    storage.instances.free(storage.instance, 40, 11)
    assert bench.engine().dry_run().actions == []


def test_a_full_instance_that_answers_nobody_grows(storage: Storage, bench: Bench) -> None:
    storage.instances.extra[storage.instance]["DBInstanceStatus"] = "storage-full"
    away = {"user": "booking", "password": "of-no-use", "host": "127.0.0.1", "port": 1, "database": "booking"}
    storage.instances.environment.next_login("booking", away)
    with pytest.raises(kit.Refused, match="grow it first, without --drop-slot"):
        bench.given(drop_slot=["a-slot"]).planned()
    assert bench.applied().exit is Exit.DONE
    assert storage.size == (130, 164)


def test_within_six_hours_of_the_last_change_it_does_not_ask_and_says_until_when(
    storage: Storage, bench: Bench
) -> None:
    storage.instances.free(storage.instance, 5)
    storage.instances.tell(storage.instance, "Finished applying modification to allocated storage.", hours_ago=5)
    assert bench.engine().dry_run().actions == []
    assert shown(bench)["rests_until"]


def test_after_six_hours_it_does(storage: Storage, bench: Bench) -> None:
    storage.instances.free(storage.instance, 5)
    storage.instances.tell(storage.instance, "Finished applying modification to allocated storage.", hours_ago=7)
    assert [each["after"] for each in bench.engine().dry_run().actions] == [{"size": 130, "ceiling": 164}]


def test_a_slot_is_never_dropped_unless_it_is_named(storage: Storage, bench: Bench) -> None:
    slot = storage.make_slot()
    storage.instances.free(storage.instance, 5)
    report = bench.applied()
    assert report.exit is Exit.DONE
    assert storage.slots() == [slot]
    assert slot in [row["slot"] for row in report.findings[1]["rows"]]


def test_without_the_secret_of_the_master_user_a_slot_stays(storage: Storage, bench: Bench) -> None:
    del storage.instances.extra[storage.instance]["MasterUserSecret"]
    report = bench.given(drop_slot=[storage.make_slot()]).applied()
    assert report.exit is Exit.FAILED
    assert "ask its owner" in report.outcome
    assert storage.slots() == [storage.slot]


def test_a_service_without_a_database_is_refused_with_those_that_have_one(bench: Bench) -> None:
    with pytest.raises(kit.Refused, match="there is no database 'search'; databases are booking"):
        bench.given(service="search").planned()
