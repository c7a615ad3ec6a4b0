"""The weekly reliability diagrams of report 8.3."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "reliability_weeks",
        sa.Column("until", sa.String(10), primary_key=True),
        sa.Column("model_version", sa.String(128), primary_key=True),
        sa.Column("record", sa.Text(), nullable=False),
    )
