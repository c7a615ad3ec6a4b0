"""The first form: journal, purged segments, API keys, feedback, switches."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT, _TEXT, _HASH = sa.String(27), sa.String(128), sa.String(64)


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "journal",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("timestamp", _MOMENT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("request_id", _TEXT, nullable=False),
        sa.Column("endpoint", _TEXT, nullable=False),
        sa.Column("user_id", _TEXT),
        sa.Column("ip_address", _TEXT),
        sa.Column("salt", sa.LargeBinary()),
        sa.Column("user_commitment", _HASH),
        sa.Column("ip_commitment", _HASH),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("code", _TEXT),
        sa.Column("prediction", _TEXT),
        sa.Column("confidence", sa.Float(53)),
        sa.Column("inference_time_ms", sa.Float(53)),
        sa.Column("model_version", _TEXT),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("hash", _HASH, nullable=False),
    )
    op.create_index("journal_request", "journal", ["request_id"])
    op.create_index("journal_kind", "journal", ["kind", "seq"])
    op.create_index("journal_timestamp", "journal", ["timestamp"])
    op.create_table(
        "purged_segments",
        sa.Column("last_seq", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("last_hash", _HASH, nullable=False),
        sa.Column("purged_at", _MOMENT, nullable=False),
        sa.Column("mac", _HASH, nullable=False),
    )
    _make_the_service_tables()


def _make_the_service_tables() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("digest", _HASH, nullable=False),
        sa.Column("label", _TEXT, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("revoked_at", _MOMENT),
        sa.Column("successor", sa.String(32)),
    )
    op.create_table(
        "feedback",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("request_id", _TEXT, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("label", sa.String(32), nullable=False),
        sa.Column("user_id", _TEXT),
        sa.Column("once", _HASH, nullable=False, unique=True),
        sa.Column("reviewed_at", _MOMENT),
    )
    op.create_index("ix_feedback_request_id", "feedback", ["request_id"])
    op.create_table(
        "switches",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("reason_code", _TEXT, nullable=False),
        sa.Column("changed_by", _TEXT, nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
    )
