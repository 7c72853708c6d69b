"""The warehouse's schema as a chain of Alembic revisions, 0001 upwards.

What belongs here: Alembic's environment and one module for each revision. What does not: when and
under which lock they run (``rets_pipeline.warehouse.migrate``).
"""
