"""What the service knows about itself: counts, signals, alerts, baselines, decisions about retraining."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT, _TEXT = sa.String(27), sa.String(128)


def upgrade() -> None:
    """Make the tables of monitoring."""
    op.create_table(
        "monitor_counts",
        sa.Column("period", sa.String(13), primary_key=True),
        sa.Column("model_version", _TEXT, primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("counts", sa.Text(), nullable=False),
    )
    op.create_table(
        "monitor_marks",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("moment", _MOMENT),
    )
    op.create_table(
        "signal_days",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("model_version", _TEXT, primary_key=True),
        sa.Column("signal", sa.String(64), primary_key=True),
        sa.Column("value", sa.Float(53)),
        sa.Column("low", sa.Float(53)),
        sa.Column("high", sa.Float(53)),
        sa.Column("threshold", sa.Float(53), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("films", sa.Integer(), nullable=False),
    )
    _make_the_decisions()


def _make_the_decisions() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("signal", sa.String(64), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("model_version", _TEXT, nullable=False),
        sa.Column("opened_at", _MOMENT, nullable=False),
        sa.Column("closed_at", _MOMENT),
        sa.Column("acknowledged_at", _MOMENT),
        sa.Column("acknowledged_by", _TEXT),
        sa.Column("evidence", sa.Text(), nullable=False),
    )
    op.create_index("ix_alerts_signal", "alerts", ["signal"])
    op.create_table(
        "baselines",
        sa.Column("set_at", _MOMENT, primary_key=True),
        sa.Column("model_version", _TEXT, nullable=False),
        sa.Column("set_by", _TEXT, nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
    )
    op.create_index("ix_baselines_model_version", "baselines", ["model_version"])
    op.create_table(
        "retraining",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("opened_at", _MOMENT, nullable=False),
        sa.Column("closed_at", _MOMENT),
        sa.Column("record", sa.Text(), nullable=False),
    )
