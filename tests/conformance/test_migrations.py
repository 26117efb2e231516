"""No migration breaks the release that still runs beside it; whichever would is named, with the rule and the remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from scripts import migration_rules
from services.common import migrations

ROOT = Path(__file__).resolve().parents[2]
FIRST = 'op.execute("CREATE TABLE orders (id bigint PRIMARY KEY, note text)")'
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A service whose first migration is released, with others after it: (statements, contracts)."""

    def made(*others: tuple[str, str | None]) -> Path:
        folder = tmp_path / "shop" / "migrations"
        (folder / "versions").mkdir(parents=True)
        env = "from services.common.migrations import environment\n\nenvironment()\n"
        (folder / "env.py").write_text(env)
        for number, (body, contracts) in enumerate([(FIRST, None), *others], 1):
            before = repr(f"000{number - 1}") if number > 1 else None
            lines = [
                "from alembic import op",
                "from services.common.migrations import create_indexes",
                f'revision, down_revision = "000{number}", {before}',
                f"contracts = {contracts!r}",
                f"def upgrade():\n    {body}",
            ]
            (folder / "versions" / f"000{number}_any.py").write_text("\n".join(lines))
        return folder

    return made


def rules(folder: Path, released: str | None = "0001") -> set[str]:
    return {fault.rule for fault in migration_rules.judge(folder, released)}


@pytest.mark.parametrize("service", migration_rules.RELEASED)
def test_the_migrations_of_a_service_may_run_beside_the_release_before(service: str) -> None:
    folder = ROOT / "services" / service / "migrations"
    faults = migration_rules.judge(folder, migration_rules.RELEASED[service])
    assert not faults, "\n".join(map(str, faults))


def test_what_is_released_is_a_revision_of_each_service() -> None:
    folders = {path.parent.name: path for path in (ROOT / "services").glob("*/migrations")}
    assert folders.keys() == migration_rules.RELEASED.keys()
    for service, folder in folders.items():
        scripts = ScriptDirectory.from_config(migrations.configuration(folder))
        assert scripts.get_revision(migration_rules.RELEASED[service])
        assert len(scripts.get_heads()) == 1, "one line of migrations, whoever writes the next"


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("ALTER TABLE orders DROP COLUMN note", "ban-drop-column"),
        ("ALTER TABLE orders RENAME COLUMN note TO remark", "renaming-column"),
        ("ALTER TABLE orders RENAME TO purchases", "renaming-table"),
        ("DROP TABLE orders", "ban-drop-table"),
        ("TRUNCATE orders", "ban-drop-rows"),
        ("DELETE FROM orders", "ban-drop-rows"),
        ("ALTER TABLE orders DROP CONSTRAINT orders_pkey", "ban-drop-constraint"),
        ("ALTER TABLE orders ALTER COLUMN id TYPE text", "changing-column-type"),
        ("ALTER TABLE orders ALTER COLUMN note DROP NOT NULL", "ban-drop-not-null"),
        ("ALTER TABLE orders ADD COLUMN buyer text NOT NULL", "adding-required-field"),
        ("ALTER TABLE orders ALTER COLUMN note SET NOT NULL", "adding-not-nullable-field"),
        ("ALTER TABLE orders ADD CONSTRAINT short CHECK (length(note) < 9)", "constraint-missing-not-valid"),
        ("ALTER TABLE orders ADD COLUMN code text UNIQUE", "disallowed-unique-constraint"),
        ("CREATE INDEX orders_note ON orders (note)", "require-concurrent-index-creation"),
    ],
)
def test_a_migration_that_breaks_a_rule_is_refused(make: Make, statement: str, rule: str) -> None:
    folder = make((f"op.execute({statement!r})", None))
    assert rule in rules(folder)


def test_the_refusal_names_migration_rule_and_remedy(make: Make) -> None:
    [fault] = migration_rules.judge(make(('op.execute("ALTER TABLE orders DROP COLUMN note")', None)), "0001")
    assert str(fault).startswith("shop 0002: ban-drop-column: line ")
    assert 'say `contracts = "<revision>"`' in str(fault)


def test_what_adds_is_taken(make: Make) -> None:
    folder = make(
        ('op.execute("ALTER TABLE orders ADD COLUMN buyer text")', None),
        ("create_indexes({'orders_buyer': 'orders (buyer)'})", None),
        (
            "op.execute('ALTER TABLE orders ADD CONSTRAINT short CHECK (length(note) < 9) NOT VALID')",
            None,
        ),
    )
    assert rules(folder) == set()


def test_a_check_is_widened_in_one_migration(make: Make) -> None:
    widened = "op.execute('ALTER TABLE orders DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (id > 0) NOT VALID')"
    assert rules(make((widened, None))) == set()


def test_indexes_that_are_made_concurrently_have_a_migration_of_their_own(make: Make) -> None:
    mixed = 'op.execute("ALTER TABLE orders ADD COLUMN b text"); create_indexes({"orders_b": "orders (b)"})'
    assert "concurrent-alone" in rules(make((mixed, None)))


def test_a_contract_waits_until_what_made_it_needless_is_released(make: Make) -> None:
    folder = make(
        ('op.execute("ALTER TABLE orders ADD COLUMN remark text")', None),
        ('op.execute("ALTER TABLE orders DROP COLUMN note")', "0002"),
    )
    assert rules(folder, "0001") == {"ban-drop-column"}, "0002 is of the same release"
    assert rules(folder, "0002") == set()


def test_a_migration_cannot_wait_for_a_lock_longer_than_the_services_can(make: Make) -> None:
    folder = make(('op.execute("ALTER TABLE orders ADD COLUMN buyer text")', None))
    (folder / "env.py").write_text(
        "from alembic import context\n\n"
        'context.configure(dialect_name="postgresql")\n'
        "with context.begin_transaction():\n    context.run_migrations()\n"
    )
    assert rules(folder) == {"require-lock-timeout", "require-statement-timeout"}
    assert "SET lock_timeout = '5s'" in migrations._PATIENCE
