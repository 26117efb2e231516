"""`python -m runbooks.backup_failed`: which backups are missing, and made once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from runbooks import _kit as kit

_FAILED = ("FAILED", "EXPIRED", "ABORTED", "PARTIAL")
# A point is made, or will be.
_WELL = ("COMPLETED", "CREATED", "PENDING", "RUNNING")


@dataclass(frozen=True, slots=True)
class Job:
    """The newest job of a resource."""

    id: str
    resource: str
    vault: str
    role: str
    state: str
    said: str
    at: datetime

    @property
    def failed(self) -> bool:
        return self.state in _FAILED


@dataclass(frozen=True, slots=True)
class Found:
    """The newest job of each database of the environment, in the time that was looked at."""

    jobs: Sequence[Job]
    without: Sequence[str]

    def tables(self) -> list[kit.Table]:
        jobs = [(each.resource, each.state, each.at.isoformat(timespec="minutes"), each.said) for each in self.jobs]
        return [
            kit.Table("newest backups", ("what", "state", "at", "said"), jobs),
            kit.Table("without any", ("what",), [(each,) for each in self.without]),
        ]


@dataclass(frozen=True, kw_only=True)
class BackupFailed(kit.Runbook[Found]):
    """Make the backups of databases once more whose newest job failed.

    Into the vault and with the role of the job that failed. The copy in another Region is the plan's: it comes the next
    day.
    """

    aws = frozenset({"backup:ListBackupJobs", "backup:StartBackupJob"})

    days: Annotated[int, typer.Option(min=1, max=30, help="How far to look back.")] = 2
    keep_days: Annotated[int, typer.Option(min=1, max=365, help="Days after which the new point goes by itself.")] = 35

    def check(self, target: kit.Target) -> Found:
        ids = set(target.operations.database_ids.values())
        newest: dict[str, Job] = {}
        for job in _jobs(target, self.days):
            name = job.resource.rpartition(":")[2]
            if name in ids and (name not in newest or newest[name].at < job.at):
                newest[name] = job
        return Found([newest[name] for name in sorted(newest)], sorted(ids - newest.keys()))

    def plan(self, findings: Found) -> list[kit.Action]:
        return [
            kit.Action(
                id=f"back {job.resource} up again after {job.id}",
                what=f"back {job.resource} up again: {job.said or job.state}",
                before={"resource": job.resource, "job": job.id, "vault": job.vault, "role": job.role},
                after={"kept_days": self.keep_days},
                no_undo="one more point does no harm, and goes by itself",
            )
            for job in findings.jobs
            if job.failed
        ]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        """AWS Backup starts one job for a token, however often it is asked."""
        started = target.client("backup").start_backup_job(
            BackupVaultName=action.before["vault"],
            ResourceArn=action.before["resource"],
            IamRoleArn=action.before["role"],
            IdempotencyToken=action.before["job"],
            Lifecycle={"DeleteAfterDays": self.keep_days},
        )
        return {"job": started["BackupJobId"]}

    def verify(self, target: kit.Target) -> list[kit.Check]:
        found = self.check(target)
        failed = ", ".join(job.resource for job in found.jobs if job.state not in _WELL)
        states = ", ".join(sorted({job.state for job in found.jobs}))
        return [
            kit.Check("the newest job of each is completed or under way", not failed, failed or states),
            kit.Check("every database has one", not found.without, ", ".join(found.without)),
        ]


def _jobs(target: kit.Target, days: int) -> list[Job]:
    pages = target.client("backup").get_paginator("list_backup_jobs")
    since = datetime.now(UTC) - timedelta(days=days)
    return [
        Job(
            id=job["BackupJobId"],
            resource=job["ResourceArn"],
            vault=job["BackupVaultName"],
            role=job["IamRoleArn"],
            state=job["State"],
            said=job.get("StatusMessage", ""),
            at=job["CreationDate"],
        )
        for page in pages.paginate(ByCreatedAfter=since, ByResourceType="RDS")
        for job in page["BackupJobs"]
    ]


app = kit.command(BackupFailed)
if __name__ == "__main__":
    app()
