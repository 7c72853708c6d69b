"""Dagster's instance for the command line and for ``make dev``.

What belongs here: where Dagster keeps its runs when nothing is configured, and the limits of the
feeds' pools. What does not: runs.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import dagster as dg

from rets_pipeline.orchestration import naming
from rets_pipeline.settings import Settings, SettingsError


def prepare_home(settings: Settings) -> Path:
    """The folder of the Dagster instance: ``DAGSTER_HOME``, or one below the project's home.

    A folder of our own gets the project's ``dagster.yaml``.

    Raises:
        SettingsError: ``DAGSTER_HOME`` is not absolute.
    """
    configured = os.environ.get("DAGSTER_HOME")
    if configured:
        if not Path(configured).is_absolute():
            raise SettingsError(f"DAGSTER_HOME: {configured!r} must be an absolute path")
        Path(configured).mkdir(parents=True, exist_ok=True)
        return Path(configured)
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    example = Path("dagster.yaml")
    if example.is_file():
        shutil.copyfile(example, home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance, with the pools of all feeds limited to one run each.

    The limits are set beforehand: one that Dagster creates by default lets the first two runs of
    a pool overlap.
    """
    prepare_home(settings)
    instance = dg.DagsterInstance.get()
    storage = instance.event_log_storage
    if storage.supports_global_concurrency_limits:
        known = {pool.name for pool in storage.get_pool_limits() if not pool.from_default}
        for feed in settings.feeds:
            for pool in (naming.rets_pool(feed), naming.images_pool(feed)):
                if pool not in known:
                    storage.set_concurrency_slots(pool, 1)
    return instance
