"""The queue's migration can be taken back, with deliveries in every state, and made again."""

from __future__ import annotations

import asyncpg
from alembic import command
from sqlalchemy import Connection

from services.common import migrations
from services.notification.domain import Status
from tests.services.conftest import ROOT
from tests.support.databases import Databases


async def test_the_queue_is_taken_back_and_made_again(notification: asyncpg.Pool, databases: Databases) -> None:
    for status in Status:
        await notification.execute(
            """INSERT INTO deliveries (transaction_id, workflow, subscriber_id, payload, status)
               VALUES ($1, 'order-completed', 'buyer', '{}', $1)""",
            status.value,
        )
    config = migrations.configuration(ROOT / "services" / "notification" / "migrations")

    def back_and_forth(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        command.upgrade(config, "head")

    engine = migrations._engine(databases.owner("notification"))
    try:
        async with engine.connect() as connection:
            await connection.run_sync(back_and_forth)
    finally:
        await engine.dispose()
    rows = await notification.fetch("SELECT transaction_id, status FROM deliveries")
    unsent = {Status.PENDING, Status.SENDING, Status.DEAD}
    assert {row["transaction_id"]: row["status"] for row in rows} == {
        status.value: "pending" if status in unsent else "sent" for status in Status
    }
