"""`python -m runbooks.secret_rotation`: where each login's rotation stands; rotates the ones that are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from runbooks import _kit as kit
from runbooks._kit import rotation
from runbooks._kit.rotation import CURRENT, PENDING, Secret

# Logins take turns: two rotations in a row lock out pods that still have the one before.
_APART = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Found:
    """All secrets, and those of the named ones that are to be rotated."""

    secrets: Sequence[Secret]
    due: Sequence[Secret]

    def tables(self) -> list[kit.Table]:
        rows = [
            (each.name, _said(each.rotated), _said(each.following), "stuck" if each.stuck else "at rest")
            for each in self.secrets
        ]
        return [kit.Table("secrets", ("secret", "rotated", "next", "rotation"), rows)]


@dataclass(frozen=True, kw_only=True)
class SecretRotation(kit.Runbook[Found]):
    """Rotate the named secrets now, and log in with what came of it.

    The login before goes on working until the rotation after this, so a secret that was rotated an hour ago is left.
    """

    aws = frozenset(
        {
            *("secretsmanager:DescribeSecret", "secretsmanager:RotateSecret"),
            "secretsmanager:UpdateSecretVersionStage",
        }
    )

    secret: Annotated[list[str], typer.Option(help="Rotate this one, e.g. booking-database; may be repeated.")] = field(
        default_factory=list
    )
    discard_pending: Annotated[
        bool, typer.Option("--discard-pending", help="Begin anew where a pending version can never work.")
    ] = False
    patience: Annotated[float, typer.Option(min=0, help="Seconds that a rotation may take.")] = 300.0

    def check(self, target: kit.Target) -> Found:
        secrets, now = rotation.secrets(target), datetime.now(UTC)
        named = rotation.chosen(secrets, self.secret)
        due = [each for each in named if each.stuck or not each.rotated or now - each.rotated > _APART]
        return Found(list(secrets.values()), due)

    def plan(self, findings: Found) -> list[kit.Action]:
        return [
            kit.Action(
                id=f"rotate {each.name} from {each.stages[CURRENT]}",
                what=f"rotate {each.name}" + (", beginning anew" if each.stuck and self.discard_pending else ""),
                before={"secret": each.name, "current": each.stages[CURRENT], "pending": each.stages.get(PENDING)},
                after={"current": "a new version", "pending": None},
            )
            for each in findings.due
        ]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        current = rotation.rotate(
            target,
            action.before["secret"],
            before=action.before["current"],
            discard_pending=self.discard_pending,
            patience=self.patience,
        )
        return {"current": current}

    def undo(self, target: kit.Target, action: kit.Action, result: Mapping[str, Any], snapshot: Any) -> None:
        client, found = target.client("secretsmanager"), rotation.secret(target, action.before["secret"])
        current = found.stages[CURRENT]
        if current == action.before["current"]:
            return
        if current != result["current"]:
            raise kit.Stop(f"{found.name} was rotated again since, to {current}: what was before works no longer")
        # Left on a version that is not current, it would say that a rotation is under way, and keep the next one out.
        if found.stages.get(PENDING) == current:
            client.update_secret_version_stage(SecretId=found.arn, VersionStage=PENDING, RemoveFromVersionId=current)
        client.update_secret_version_stage(
            SecretId=found.arn,
            VersionStage=CURRENT,
            MoveToVersionId=action.before["current"],
            RemoveFromVersionId=current,
        )

    def verify(self, target: kit.Target) -> list[kit.Check]:
        secrets = rotation.secrets(target)
        stuck = [each.name for each in secrets.values() if each.stuck]
        return [
            kit.Check("no rotation is stuck", not stuck, ", ".join(stuck)),
            *(
                kit.Check(f"{each.name} logs in", not (wrong := rotation.refusal(target, each)), wrong)
                for each in rotation.chosen(secrets, self.secret)
            ),
        ]


def _said(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="minutes") if moment else None


app = kit.command(SecretRotation)
if __name__ == "__main__":
    app()
