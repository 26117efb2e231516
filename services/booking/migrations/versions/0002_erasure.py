"""Who was erased."""

from __future__ import annotations

from alembic import op

from services.common.schema import ERASURE_V1

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table."""
    for statement in ERASURE_V1:
        op.execute(statement)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE erased_people")
