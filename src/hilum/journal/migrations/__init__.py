"""The steps that bring a journal's database from any older form to the present one (Alembic)."""
