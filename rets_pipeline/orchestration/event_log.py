"""Dagster's event log, pruned.

What belongs here: which rows of it go, and when. What does not: runs, which stay for ever (to
delete one forgets its materializations, and days would look as if nobody had ever fetched them),
and ticks, which Dagster prunes itself (``retention`` in ``dagster.yaml``).

Dagster has no such setting; its guide to the tuning of databases deletes rows by type and age, as
is done here. What goes are lines of log, and events that tell how a step went: they serve while
somebody looks into a run. Everything that asset pages, checks, partitions, sensors and the list of
runs read stays: materializations, observations, plans, check evaluations, and starts, ends and
failures of runs. Types that are not named here stay, so that a new Dagster loses nothing.
"""

# No postponed annotations here: Dagster reads the type of `context` at once.
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster import DagsterEventType
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

from rets_pipeline.orchestration import naming

#: how a step went; beside these, lines of log, which have no type
PRUNED = (
    DagsterEventType.ENGINE_EVENT,
    DagsterEventType.HANDLED_OUTPUT,
    DagsterEventType.HOOK_COMPLETED,
    DagsterEventType.HOOK_SKIPPED,
    DagsterEventType.LOADED_INPUT,
    DagsterEventType.LOGS_CAPTURED,
    DagsterEventType.OBJECT_STORE_OPERATION,
    DagsterEventType.RESOURCE_INIT_STARTED,
    DagsterEventType.RESOURCE_INIT_SUCCESS,
    DagsterEventType.STEP_INPUT,
    DagsterEventType.STEP_OUTPUT,
    DagsterEventType.STEP_START,
    DagsterEventType.STEP_SUCCESS,
    DagsterEventType.STEP_WORKER_STARTED,
    DagsterEventType.STEP_WORKER_STARTING,
)
#: rows of one transaction
_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class PrunedEvents:
    """What was removed.

    Attributes:
        databases: files that were looked into; 1 where all runs share one database.
    """

    rows: int
    databases: int


def prune(instance: dg.DagsterInstance, before: datetime) -> PrunedEvents:
    """Remove rows of the event log by type and age.

    Args:
        instance: on Postgres, or on SQLite, which has a file for each run.
        before: rows that are older go.

    Raises:
        Failure: the log is in no database that is known.
    """
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        return _prune_files(storage, before)
    if isinstance(storage, SqlEventLogStorage):
        return PrunedEvents(_prune(storage.index_connection, before), 1)
    raise dg.Failure(
        description=f"the event log is a {type(storage).__name__}, which nobody here can prune",
        allow_retries=False,
    )


def event_log_job(days: int) -> dg.JobDefinition:
    """The job that prunes it, for all feeds.

    Args:
        days: how long rows stay.
    """

    @dg.op(name="prune_event_log", description=f"Rows older than {days} days, by type.")
    def prune_event_log(context: dg.OpExecutionContext) -> None:
        pruned = prune(context.instance, datetime.now(UTC) - timedelta(days=days))
        context.add_output_metadata({"rows": pruned.rows, "databases": pruned.databases})
        context.log.info(f"{pruned.rows:,} rows removed, of {pruned.databases:,} databases")

    @dg.job(
        name=naming.EVENT_LOG_JOB,
        description="Prune Dagster's event log: lines of log and events of steps, older than "
        f"{days} days. Runs, materializations and checks stay.",
    )
    def retention() -> None:
        prune_event_log()

    return retention


def _prune_files(storage: SqliteEventLogStorage, before: datetime) -> PrunedEvents:
    """Each run has a file; one that was not written since has old rows only.

    A file that was pruned counts as written, so it is not looked into again for a while.
    """
    rows = looked_into = 0
    for run_id in storage.get_all_run_ids():
        path = Path(storage.path_for_shard(run_id))
        if not path.exists() or path.stat().st_mtime >= before.timestamp():
            continue
        looked_into += 1
        removed = _prune(lambda run=run_id: storage.run_connection(run), before)
        rows += removed
        if removed:
            with storage.run_connection(run_id) as connection:
                connection.exec_driver_sql("VACUUM")
        path.touch()
    return PrunedEvents(rows, looked_into)


def _prune(connect: Any, before: datetime) -> int:
    return sum(_batches(connect, before))


def _batches(connect: Any, before: datetime) -> Iterator[int]:
    """So many rows in each transaction, so that runs which write meanwhile do not wait."""
    log = SqlEventLogStorageTable
    old = (
        sa.select(log.c.id)
        .where(
            log.c.timestamp < before.astimezone(UTC).replace(tzinfo=None),
            sa.or_(
                log.c.dagster_event_type.is_(None),
                log.c.dagster_event_type.in_([kind.value for kind in PRUNED]),
            ),
        )
        .limit(_AT_ONCE)
    )
    removed = _AT_ONCE
    while removed == _AT_ONCE:
        with connect() as connection:
            removed = connection.execute(sa.delete(log).where(log.c.id.in_(old))).rowcount
        yield removed
