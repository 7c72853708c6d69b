"""Dagster's view of the mirror: the only package that imports it.

What belongs here: assets, partitions, I/O managers, resources, checks, schedules, sensors,
alerts, and what the UI shows. What does not: protocol, mapping, storage and sync; assets wire
them and report.
"""

from rets_pipeline.orchestration.factory import build_defs

__all__ = ["build_defs"]
