"""Dagster's instance for the command line and for ``make dev``.

What belongs here: where Dagster keeps its runs when nothing is configured, the limits of the
feeds' pools, and the end of runs whose process is gone. What does not: runs.
"""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import dagster as dg

from rets_pipeline.orchestration import naming
from rets_pipeline.settings import Settings, SettingsError

#: the tag by which a run of the command line names its process
PROCESS_TAG = "rets/process"

_ACTIVE = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
#: enough for jobs in this process; the daemon and the UI start where the project's file is
_WITHOUT_A_FILE = "telemetry:\n  enabled: false\n"


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
    elif not (home / "dagster.yaml").is_file():
        (home / "dagster.yaml").write_text(_WITHOUT_A_FILE, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance, with the pools of all feeds limited to one run each, and without dead runs.

    The limits are set beforehand: one that Dagster creates by default lets the first two runs of
    a pool overlap.
    """
    prepare_home(settings)
    instance = dg.DagsterInstance.get()
    end_dead_runs(instance)
    storage = instance.event_log_storage
    if storage.supports_global_concurrency_limits:
        known = {pool.name for pool in storage.get_pool_limits() if not pool.from_default}
        pools = [
            pool
            for feed in settings.feeds
            for pool in (naming.rets_pool(feed), naming.images_pool(feed))
        ]
        for pool in (*pools, naming.ADDRESSES_POOL):
            if pool not in known:
                storage.set_concurrency_slots(pool, 1)
    return instance


def this_process() -> str:
    """The value of :data:`PROCESS_TAG` for runs of this process."""
    return f"{os.getpid()}@{socket.gethostname()}"


def end_dead_runs(instance: dg.DagsterInstance) -> None:
    """Report runs of the command line as failed whose process was killed.

    Dagster itself would call them started for hours, and as long they keep their feed's pool and
    its schedule from starting others.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=_ACTIVE)):
        number, _, host = run.tags.get(PROCESS_TAG, "").partition("@")
        if host == socket.gethostname() and not _is_alive(int(number)):
            instance.report_run_failed(run, "The process of this run has ended without a word.")


def _is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
