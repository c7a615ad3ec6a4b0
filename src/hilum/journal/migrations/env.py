"""Alembic runs this: it applies the steps on the connection, and in the transaction, that it is given."""

from alembic import context

from hilum.journal.tables import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, transactional_ddl=True
)
context.run_migrations()
