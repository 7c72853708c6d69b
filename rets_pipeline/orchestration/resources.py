"""Resources: the mirror of a feed for the length of a run, and progress.

What belongs here: opening and closing. What does not: steps of a sync.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import dagster as dg

from rets_pipeline.archive import Archive
from rets_pipeline.orchestration import active_runs, interrupts, naming
from rets_pipeline.orchestration.failures import as_failures
from rets_pipeline.settings import FeedConfig, Settings
from rets_pipeline.sync.accounts import credentials
from rets_pipeline.sync.mirror import Mirror, Progress
from rets_pipeline.sync.progress import PacedProgress
from rets_pipeline.warehouse.engine import Warehouse


class ProgressResource(Protocol):
    """Where long steps tell how far they are."""

    def of(self, context: dg.AssetExecutionContext) -> Progress:
        """What an asset's run is to call."""
        ...


class LoggedProgress:
    """Progress in the run's log."""

    def of(self, context: dg.AssetExecutionContext) -> Progress:
        """A line with done, total, rate and the time that is left, now and then."""
        return PacedProgress(lambda line, _: context.log.info(line))


class MirrorResource(dg.ConfigurableResource[Any]):
    """Opens a feed's warehouse and archive; lock and login follow when they are needed."""

    feed: dict[str, Any]
    database_url: str
    archive_uri: str

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Mirror]:
        """One mirror for the whole run, closed at its end."""
        run = context.run
        feed = FeedConfig.model_validate(self.feed)
        with _no_crash(context), as_failures():
            # Not by Dagster: it reads variables before any code of ours can say that this is no
            # crash.
            account = credentials(feed)
            warehouse = Warehouse.open(self.database_url)
        try:
            with _no_crash(context), as_failures():
                archive = Archive.from_uri(self.archive_uri)
            mirror = Mirror(
                feed,
                warehouse,
                archive,
                account,
                job=_kind(feed.name, run.job_name if run else ""),
                run_id=run.run_id if run else None,
                seconds=_seconds_of(context),
            )
            failed = True
            try:
                with interrupts.sent_again():
                    yield mirror
                failed = _has_failed(context)
            finally:
                mirror.close(succeeded=not failed)
        finally:
            warehouse.close()


def mirror_resource(settings: Settings, feed: FeedConfig) -> MirrorResource:
    """The feed's resource. Secrets are named, and read when a run starts: the account's by us."""
    from_environment = os.environ.get("DATABASE_URL") == settings.database_url
    return MirrorResource(
        feed=feed.model_dump(mode="json", exclude_none=True),
        database_url=dg.EnvVar("DATABASE_URL") if from_environment else settings.database_url,
        archive_uri=settings.archive_uri,
    )


def mirror_of(context: dg.AssetExecutionContext, feed: str) -> Mirror:
    """The run's mirror, telling its progress to the run."""
    mirror = opened(context, feed)
    mirror.progress = context.resources.progress.of(context)
    return mirror


def opened(context: Any, feed: str) -> Mirror:
    """The run's mirror, from any context that has resources."""
    mirror: Mirror = getattr(context.resources, naming.mirror_resource(feed))
    return mirror


@contextmanager
def _no_crash(context: dg.InitResourceContext) -> Iterator[None]:
    """What cannot be opened fails no step, so Dagster would take it for a crash, and try again."""
    try:
        yield
    except Exception:
        if context.run is not None and context.instance is not None:
            context.instance.add_run_tags(context.run.run_id, {active_runs.RETRIES_TAG: "0"})
        raise


def _kind(feed: str, job: str) -> str:
    """``sync`` for ``<feed>_sync``; runs that the UI starts from assets are ``assets``."""
    return job.removeprefix(f"{feed}_") if job.startswith(f"{feed}_") else "assets"


def _seconds_of(context: dg.InitResourceContext) -> float | None:
    """The run's longest time, so that it ends before it is stopped."""
    if context.run is None or context.instance is None:
        return None
    return active_runs.longest_seconds(context.run, context.instance)


def _has_failed(context: dg.InitResourceContext) -> bool:
    """Whether a step of the run failed: a resource is closed in the same way either way."""
    run, instance = context.run, context.instance
    if run is None or instance is None:
        return False
    steps = instance.get_run_step_stats(run.run_id)
    return any(step.status is not None and step.status.value == "FAILURE" for step in steps)
