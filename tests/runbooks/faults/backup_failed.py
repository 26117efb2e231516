"""Two databases whose backup failed, one that has one, and one of another environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbooks.backup_failed import BackupFailed
from tests.runbooks.bench import Bench
from tests.runbooks.environment import ACCOUNT, REGION, Environment
from tests.runbooks.faults import Fault


@dataclass
class Backups:
    """Jobs of AWS Backup: the simulated AWS has none of them."""

    environment: Environment
    jobs: list[dict[str, Any]] = field(default_factory=list)
    started: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.environment.answers |= {"backup:ListBackupJobs": self._listed, "backup:StartBackupJob": self._start}

    def job(self, database: str, state: str, *, hours_ago: float = 1, said: str = "") -> str:
        """A job of ``database``; returns its id."""
        job = f"job-{len(self.jobs)}"
        self.jobs.append(
            {
                "BackupJobId": job,
                "ResourceArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:db:{database}",
                "BackupVaultName": "vault",
                "IamRoleArn": f"arn:aws:iam::{ACCOUNT}:role/backups",
                "State": state,
                "StatusMessage": said,
                "CreationDate": datetime.now(UTC) - timedelta(hours=hours_ago),
            }
        )
        return job

    def _listed(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"BackupJobs": [job for job in self.jobs if job["CreationDate"] > asked["ByCreatedAfter"]]}

    def _start(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self.started.append(dict(asked))
        return {"BackupJobId": self.job(asked["ResourceArn"].rpartition(":")[2], "RUNNING", hours_ago=0)}


@pytest.fixture
def backups(environment: Environment) -> Backups:
    environment.write(databaseIds={"booking": "db-booking", "payment": "db-payment", "identity": "db-identity"})
    return Backups(environment)


@pytest.fixture
def backup_failed(environment: Environment, backups: Backups, tmp_path: Path) -> Fault:
    backups.job("db-booking", "COMPLETED", hours_ago=30)
    backups.job("db-booking", "FAILED", said="the instance was busy")
    backups.job("db-payment", "EXPIRED")
    backups.job("db-identity", "FAILED", hours_ago=20)
    backups.job("db-identity", "COMPLETED")
    backups.job("db-of-somebody-else", "FAILED")
    return Fault(
        Bench(BackupFailed(), environment, tmp_path),
        state=lambda: len(backups.started),
        mended=lambda: (
            sorted(each["ResourceArn"].rpartition(":")[2] for each in backups.started) == ["db-booking", "db-payment"]
        ),
    )
