"""``rets-pipeline check``: can this configuration work?

What belongs here: trying everything a run needs, and saying in plain words what is wrong. What
does not: repairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from rets_pipeline.archive import Archive, ArchiveError
from rets_pipeline.rets import RetsError
from rets_pipeline.settings import FeedConfig, Settings, SettingsError
from rets_pipeline.sync.accounts import credentials
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse.engine import Warehouse, WarehouseError
from rets_pipeline.warehouse.locks import LockHeld

_EXPECTED = (SettingsError, WarehouseError, ArchiveError, RetsError, LockHeld)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried.

    Attributes:
        fault: what is wrong, in one line; None when it works.
    """

    what: str
    detail: str
    fault: str | None = None


def check(
    settings: Settings, feeds: list[FeedConfig], broken: Mapping[str, str]
) -> Iterator[Finding]:
    """Try the warehouse, the archive, and a login on each feed.

    Args:
        broken: feeds whose entries cannot be used, with their faults.
    """
    yield _tried("warehouse", settings.database_description, partial(_warehouse, settings))
    yield _tried(
        "archive", settings.archive_uri, lambda: Archive.from_uri(settings.archive_uri).check()
    )
    for feed in feeds:
        where = f"{feed.login_url} as ${feed.username_variable}"
        yield _tried(f"feed {feed.name}", where, partial(_login, settings, feed))
    for name, fault in broken.items():
        yield Finding(f"feed {name}", "", fault)


def _tried(what: str, detail: str, work: Callable[[], object]) -> Finding:
    try:
        work()
    except _EXPECTED as error:
        return Finding(what, detail, str(error))
    return Finding(what, detail)


def _warehouse(settings: Settings) -> None:
    Warehouse.open(settings.database_url).close()


def _login(settings: Settings, feed: FeedConfig) -> None:
    account = credentials(feed)
    warehouse = Warehouse.open(settings.database_url)
    try:
        archive = Archive.from_uri(settings.archive_uri)
        patient = feed.model_copy(update={"lock_wait_seconds": min(30.0, feed.lock_wait_seconds)})
        with Mirror(patient, warehouse, archive, account, job="check") as mirror:
            mirror.session().login()
    finally:
        warehouse.close()
