"""The SQL that runbooks tell people to type works, with the rights of the service's own role."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator

import asyncpg
import pytest

from services.common.database import arguments
from stacks.settings import SERVICES
from tests.conformance.runbook_names import ROOT
from tests.support.databases import Databases


def statements() -> Iterator[tuple[str, str, str]]:
    """Runbook, service and statement of each ``sql SERVICE "…"``; a variable stands for every service it may be."""
    for path in sorted((ROOT / "runbooks").glob("*.md")):
        loops = dict(re.findall(r"for (\w+) in ([\w ]+); do", path.read_text()))
        for service, statement in re.findall(r'\bsql (\$?\w+) "([^"]+)"', path.read_text()):
            services = loops.get(service[1:], " ".join(SERVICES)) if service.startswith("$") else service
            for name in services.split():
                yield path.stem, name, statement


def filled(statement: str) -> str:
    """The statement with something in the places that a person fills."""
    for place, value in {"$ORDER": str(uuid.uuid4()), "…": str(uuid.uuid4()), "(PID)": "(0)"}.items():
        statement = statement.replace(place, value)
    return statement


def test_runbooks_have_statements() -> None:
    assert len({statement for _, _, statement in statements()}) > 10


@pytest.mark.parametrize("service", SERVICES)
async def test_every_statement_of_a_runbook_works_on_the_databases_that_it_is_for(
    databases: Databases, service: str
) -> None:
    connection = await asyncpg.connect(**arguments(await databases.create(service)))
    try:
        for runbook, owner, statement in statements():
            if owner == service:
                try:
                    await connection.fetch(filled(statement))
                except asyncpg.PostgresError as error:
                    pytest.fail(f"{runbook}: sql {service} {statement!r}: {error}")
    finally:
        await connection.close()


async def test_what_the_sql_command_of_the_on_call_page_runs_in_a_pod_prints_the_rows(databases: Databases) -> None:
    page = (ROOT / "docs" / "on-call.md").read_text()
    program = re.search(r"^sql\(\) \{.*? -c '\n(.*?)' \"\$2\"", page, flags=re.MULTILINE | re.DOTALL)
    assert program
    done = subprocess.run(
        [sys.executable, "-c", program[1], "SELECT 1 AS one, 'b' AS two"],
        env={**os.environ, "DATABASE_URL": await databases.create("booking")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "one=1  two=b\n", done.stderr
