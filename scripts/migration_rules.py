"""`python -m scripts.migration_rules`: whether migrations may run while two releases of a service do.

Every migration that is not released yet is written down as SQL and judged: by squawk (squawkhq.com/docs/rules), which
knows what locks, rewrites or breaks; by what squawk cannot see, which is told beside each rule below. What takes
something away is a contract, and waits for a release: docs/migrations.md.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from alembic import command
from alembic.script import Script, ScriptDirectory

from services.common import migrations

ROOT: Final = Path(__file__).resolve().parent.parent
# The newest revision that production has; moved on with each release. What is up to it has run, and never changes.
RELEASED: Final = {"booking": "0001", "payment": "0002", "notification": "0002"}
# The oldest that a service may meet: Debian's, on which the tests run.
_POSTGRESQL: Final = "15"
# Sizes of columns are chosen, each for what it counts.
_LEFT_OUT: Final = ("prefer-bigint-over-int", "prefer-bigint-over-smallint")
# What the release before may still use, by the beginning of the rule's name.
_TAKES_AWAY: Final = ("ban-drop-", "changing-column-type", "renaming-")
_CONSTRAINT: Final = r"\b{verb} CONSTRAINT (?:IF EXISTS )?(\w+)"
_FRAME: Final = re.compile(r"(BEGIN|COMMIT|SET (lock|statement)_timeout\b.*|UPDATE alembic_version\b.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a migration, and what to do instead."""

    migration: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.migration}: {self.rule}: {self.message}"


def judge(folder: Path, released: str | None) -> list[Fault]:
    """The faults of the migrations in ``folder`` that come after the revision ``released``."""
    scripts = ScriptDirectory.from_config(migrations.configuration(folder))
    chain = list(reversed(list(scripts.walk_revisions())))
    known = [script.revision for script in chain]
    ran = known[: known.index(released) + 1] if released else []
    new = {script.revision: script for script in chain if script.revision not in ran}
    written = {revision: _sql(folder, script) for revision, script in new.items()}
    return [
        fault
        for revision, fault in _judged(folder.parent.name, written)
        if not fault.rule.startswith(_TAKES_AWAY) or not _may_take_away(new[revision], ran)
    ]


def _may_take_away(script: Script, ran: list[str]) -> bool:
    """A contract says which revision made its object needless, and that one is released."""
    return getattr(script.module, "contracts", None) in ran


def _sql(folder: Path, script: Script) -> str:
    written = io.StringIO()
    config = migrations.configuration(folder, written)
    command.upgrade(config, f"{script.down_revision or 'base'}:{script.revision}", sql=True)
    return written.getvalue()


def _judged(service: str, written: Mapping[str, str]) -> Iterator[tuple[str, Fault]]:
    for revision, rule, message in (*_squawk(written), *_ours(written)):
        if rule == "ban-drop-constraint" and _made_again(written[revision]):
            continue
        if rule.startswith(_TAKES_AWAY):
            message += (
                '. The release before may still use it: say `contracts = "<revision>"`, which has made it needless and '
                "is released (docs/migrations.md)"
            )
        yield revision, Fault(f"{service} {revision}", rule, message)


def _squawk(written: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    if not written:
        return
    with TemporaryDirectory() as folder:
        for revision, sql in written.items():
            Path(folder, f"{revision}.sql").write_text(sql)
        done = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("squawk")), "--reporter=json", f"--pg-version={_POSTGRESQL}"),
                *(f"--exclude={','.join(_LEFT_OUT)}", *(str(Path(folder, f"{revision}.sql")) for revision in written)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise SystemExit(f"squawk ended with {done.returncode}: {done.stderr or done.stdout}") from None
    for each in found:
        remedy = f" {each['help']}" if each.get("help") else ""
        yield Path(each["file"]).stem, each["rule_name"], f"line {each['line'] + 1}: {each['message']}{remedy}"


def _ours(written: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for revision, sql in written.items():
        statements = [each.strip() for each in re.sub(r"--.*", "", sql).split(";") if each.strip()]
        work = [each for each in statements if not _FRAME.fullmatch(each)]
        concurrent = [each for each in work if " CONCURRENTLY " in each]
        if concurrent and concurrent != work:
            yield (
                revision,
                "concurrent-alone",
                "makes an index CONCURRENTLY, outside of a transaction, beside other changes: when it fails, half "
                "of it stands. Give the indexes a migration of their own",
            )
        if any(re.match(r"TRUNCATE|DELETE\b", each) for each in work):
            yield (
                revision,
                "ban-drop-rows",
                "removes rows; what is old is retention's (services/<service>/retention.py)",
            )


def _made_again(sql: str) -> bool:
    """A check that is widened is dropped and added in one transaction, under its name."""
    dropped, added = (set(re.findall(_CONSTRAINT.format(verb=verb), sql)) for verb in ("DROP", "ADD"))
    return dropped <= added


def main() -> int:
    """Judge the migrations of every service; returns the exit code."""
    faults = [
        fault
        for service, released in RELEASED.items()
        for fault in judge(ROOT / "services" / service / "migrations", released)
    ]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
