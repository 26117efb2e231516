"""Which backups are made once more, and how."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbooks._kit.model import Exit
from runbooks.backup_failed import BackupFailed
from tests.runbooks.bench import Bench
from tests.runbooks.environment import ACCOUNT, REGION
from tests.runbooks.faults.backup_failed import Backups


@pytest.fixture
def bench(backups: Backups, tmp_path: Path) -> Bench:
    for database in ("db-payment", "db-identity"):
        backups.job(database, "COMPLETED")
    return Bench(BackupFailed(keep_days=7), backups.environment, tmp_path)


def test_a_point_is_made_as_the_job_that_failed_would_have_and_goes_by_itself(bench: Bench, backups: Backups) -> None:
    failed = backups.job("db-booking", "FAILED", said="the instance was busy")
    assert bench.applied().exit is Exit.DONE
    assert backups.started == [
        {
            "BackupVaultName": "vault",
            "ResourceArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:db:db-booking",
            "IamRoleArn": f"arn:aws:iam::{ACCOUNT}:role/backups",
            "IdempotencyToken": failed,
            "Lifecycle": {"DeleteAfterDays": 7},
        }
    ]


def test_one_that_failed_and_was_made_since_is_left(bench: Bench, backups: Backups) -> None:
    backups.job("db-booking", "FAILED", hours_ago=5)
    backups.job("db-booking", "RUNNING", hours_ago=1)
    assert bench.engine().dry_run().actions == []
    assert bench.engine().verify().exit is Exit.DONE


def test_a_database_without_any_job_is_told(bench: Bench, backups: Backups) -> None:
    backups.job("db-booking", "COMPLETED", hours_ago=49)
    assert bench.engine().dry_run().findings[1]["rows"] == [{"what": "db-booking"}]
    assert bench.engine().verify().exit is Exit.FAILED
