"""What servers mean: queries to ask and how their records become rows.

What belongs here: one package per source, each a :class:`~rets_pipeline.sources.base.Source`.
What does not: SQL, HTTP, files, Dagster.
"""
