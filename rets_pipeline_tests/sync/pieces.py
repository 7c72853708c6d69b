"""Feeds, master lists and pulls for tests, small and without a server.

What belongs here: what several tests of the sync need. What does not: tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from rets_pipeline.archive import Archive
from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sources import master_list
from rets_pipeline.sync import apply, master, pull
from rets_pipeline.sync.master import Chunk, MasterList
from rets_pipeline.sync.mirror import Credentials, Mirror
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.sources import payloads

FEED = "board"
TODAY = datetime.now(UTC).date()
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = START.date()

Keys = dict[str, datetime | None]


def feed_of(sandbox: RunningSandbox | None = None, **more: Any) -> FeedConfig:
    """A feed; without a sandbox nobody answers at its address."""
    values: dict[str, Any] = {
        "name": FEED,
        "source": "ddf",
        "login_url": sandbox.login_url if sandbox else "http://127.0.0.1:1/Login.svc/Login",
        "username_variable": "BOARD_USERNAME",
        "password_variable": "BOARD_PASSWORD",
        "first_day": TODAY - timedelta(days=400),
        "lock_wait_seconds": 20,
        "photos": {"hosts": ["127.0.0.1"], "allow_private_addresses": True},
    }
    return FeedConfig.model_validate({**values, **more})


@contextmanager
def open_mirror(
    warehouse: Warehouse,
    archive: Archive,
    feed: FeedConfig | None = None,
    sandbox: RunningSandbox | None = None,
    *,
    job: str = "sync",
) -> Iterator[Mirror]:
    """One run."""
    credentials = Credentials(sandbox.username, sandbox.password) if sandbox else None
    with Mirror(
        feed or feed_of(sandbox),
        warehouse,
        archive,
        credentials or Credentials("nobody", "nothing"),
        job=job,
    ) as mirror:
        yield mirror


def at(minutes: float) -> datetime:
    """So many minutes after the start of time."""
    return START + timedelta(minutes=minutes)


def record(key: str, remarks: str = "first", when: datetime = START, price: object = 100) -> str:
    """A listing as DDF writes it, with next to nothing in it."""
    moment = format_datetime(when, usegmt=True)
    return (
        f'<PropertyDetails ID="{key}" LastUpdated="{moment}"><ListingID>L{key}</ListingID>'
        f"<Price>{price}</Price><PublicRemarks>{remarks}</PublicRemarks></PropertyDetails>"
    )


def store_pull(
    mirror: Mirror,
    pages: Sequence[Sequence[str]],
    keys: Mapping[str, datetime | None],
    *,
    day: date = DAY,
) -> pull.Stored:
    """A complete pull in the archive, whose pages hold those records."""

    def answers() -> Iterator[pull.Page]:
        for records in pages:
            returned = [text.partition('ID="')[2].partition('"')[0] for text in records]
            yield pull.Page(payloads.answer(list(records)), list(keys), returned)

    return pull.store(mirror, pull.Download(day, dict(keys), answers()))


def store_listings(mirror: Mirror, remarks: Mapping[str, str], **more: Any) -> pull.Stored:
    """A complete pull of those keys, all returned, in one page."""
    records = [record(key, text) for key, text in remarks.items()]
    return store_pull(mirror, [records], dict.fromkeys(remarks, START), **more)


def store_master_list(mirror: Mirror, keys: Mapping[str, datetime | None]) -> MasterList:
    """A complete master list in the archive."""
    texts = [moment.isoformat() if moment else "?" for moment in keys.values()]
    entries = master_list.batch([*keys], [*keys.values()], texts)
    return master.store(mirror, [Chunk(b"<as received/>", entries)])


def entries_of(found: MasterList, archive: Archive) -> list[tuple[str, datetime | None, str]]:
    """A master list's keys, timestamps and the server's texts of them."""
    return [
        row
        for batch in found.batches(archive)
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    ]


def timestamps_of(found: MasterList, archive: Archive) -> dict[str, datetime | None]:
    """A master list's keys and timestamps."""
    return {key: moment for key, moment, _ in entries_of(found, archive)}


def apply_due(mirror: Mirror) -> list[apply.ParsedPull]:
    """Load what waits."""
    done = []
    for parsed in apply.parse(mirror, apply.due(mirror)):
        apply.apply(mirror, parsed)
        done.append(parsed)
    return done
