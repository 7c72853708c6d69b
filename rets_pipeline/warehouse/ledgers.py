"""The ledgers: what was pulled, what is held of it, what is gone, what was not understood.

What belongs here: the tables that the sync keeps books in. What does not: listings themselves
(``tables``), and the statements that write here (``pulls``, ``load``, ``deletion``, ``media``,
``addresses``).
"""

from __future__ import annotations

import sqlalchemy as sa

from rets_pipeline.warehouse.types import UtcTimestamp, json_type, metadata, row_number_type

#: One download, kept unchanged in the archive. Pull ids sort in the order of the requests.
pull = sa.Table(
    "pull",
    metadata,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("pull_id", sa.Text, primary_key=True, comment="sorts in the order of requests"),
    sa.Column(
        "kind",
        sa.Text,
        nullable=False,
        comment="master_list, listings, member_master_list, members, and so on",
    ),
    sa.Column(
        "state",
        sa.Text,
        nullable=False,
        comment="requested, complete (manifest written), applied, failed or abandoned",
    ),
    sa.Column("day", sa.Date, comment="UTC day of the listings' timestamps; NULL: no listings"),
    sa.Column("archive_prefix", sa.Text, nullable=False),
    sa.Column("requested_at", UtcTimestamp, nullable=False),
    sa.Column("completed_at", UtcTimestamp),
    sa.Column("applied_at", UtcTimestamp),
    sa.Column("keys_asked", sa.BigInteger, comment="NULL: every key (master list)"),
    sa.Column("records", sa.BigInteger),
    sa.Column("bytes", sa.BigInteger, comment="as received, content-encoding removed"),
    sa.Column("requests", sa.BigInteger),
    sa.Column("reason", sa.Text, comment="why it failed"),
    sa.Column(
        "replay_since",
        UtcTimestamp,
        comment="when a replay asked for it; NULL: none, or it is done",
    ),
    sa.Index("ix_pull_feed_state", "feed", "state"),
    sa.Index("ix_pull_feed_replay_since", "feed", "replay_since"),
    sa.Index("ix_pull_feed_applied_at", "feed", "applied_at"),
    comment="One download of pages or of a master list, kept in the archive",
)

#: The ledger of convergence: what the warehouse holds of every key the server was asked for.
listing_sync = sa.Table(
    "listing_sync",
    metadata,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("listing_key", sa.Text, primary_key=True),
    sa.Column("master_timestamp", UtcTimestamp, comment="in the master list it was fetched by"),
    sa.Column("payload_timestamp", UtcTimestamp, comment="in the record itself"),
    sa.Column("content_hash", sa.Text),
    sa.Column("pull_id", sa.Text, nullable=False, comment="the latest pull that asked for it"),
    sa.Column(
        "state",
        sa.Text,
        nullable=False,
        comment="loaded, quarantined, not_returned, or stale (loaded, and asked for again)",
    ),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_attempt", UtcTimestamp, comment="when to ask again; NULL: on a change only"),
    sa.Index("ix_listing_sync_feed_state", "feed", "state"),
    comment="What is held of each key, compared with the master list to find what to fetch",
)

#: The same of the resources beside listings that have a search of their own.
resource_sync = sa.Table(
    "resource_sync",
    metadata,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("resource_name", sa.Text, primary_key=True, comment="Member or Office"),
    sa.Column("resource_record_key", sa.Text, primary_key=True),
    sa.Column("master_timestamp", UtcTimestamp, comment="in the master list it was fetched by"),
    sa.Column("payload_timestamp", UtcTimestamp, comment="in the record itself"),
    sa.Column("content_hash", sa.Text),
    sa.Column("pull_id", sa.Text, nullable=False, comment="the latest pull that asked for it"),
    sa.Column("state", sa.Text, nullable=False, comment="loaded, quarantined or not_returned"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_attempt", UtcTimestamp, comment="when to ask again; NULL: on a change only"),
    comment="What is held of each member and office, compared with their master lists",
)

#: What remains of a listing that is gone. Keys and times, nothing personal.
tombstone = sa.Table(
    "tombstone",
    metadata,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("listing_key", sa.Text, primary_key=True),
    sa.Column("master_pull_id", sa.Text, nullable=False, comment="the master list without it"),
    sa.Column("gone_at", UtcTimestamp, nullable=False, comment="when that list was requested"),
    sa.Column("last_master_timestamp", UtcTimestamp),
    sa.Column("last_pull_id", sa.Text),
    sa.Index("ix_tombstone_feed_gone_at", "feed", "gone_at"),
    comment="What remains of a listing that is gone",
)

#: The same of a member or an office that is gone.
resource_tombstone = sa.Table(
    "resource_tombstone",
    metadata,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("resource_name", sa.Text, primary_key=True, comment="Member or Office"),
    sa.Column("resource_record_key", sa.Text, primary_key=True),
    sa.Column("master_pull_id", sa.Text, nullable=False, comment="the master list without it"),
    sa.Column("gone_at", UtcTimestamp, nullable=False, comment="when that list was requested"),
    sa.Column("last_master_timestamp", UtcTimestamp),
    sa.Column("last_pull_id", sa.Text),
    sa.Index("ix_resource_tombstone_feed_gone_at", "feed", "gone_at"),
    comment="What remains of a member or an office that is gone",
)

#: What is held of each image, by what it was stored under. Never replaced with its record.
media_file = sa.Table(
    "media_file",
    metadata,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column(
        "resource_name",
        sa.Text,
        primary_key=True,
        comment="Property (photos), Member (photos) or Office (logos)",
    ),
    sa.Column("resource_record_key", sa.Text, primary_key=True),
    sa.Column(
        "media_key",
        sa.Text,
        primary_key=True,
        comment="of media; of members and offices, which have one image, their own key",
    ),
    sa.Column("size", sa.Text, primary_key=True, comment="thumbnail, medium or large"),
    sa.Column("change_token", sa.Text, comment="of the payload that the state is about"),
    sa.Column(
        "held_token",
        sa.Text,
        comment="of the payload that the bytes belong to; an older one while newer bytes fail",
    ),
    sa.Column("blob_key", sa.Text, comment="in the archive; NULL: nothing held"),
    sa.Column("content_hash", sa.Text, comment="SHA-256 of the bytes, hexadecimal"),
    sa.Column("content_type", sa.Text),
    sa.Column("bytes", sa.BigInteger),
    sa.Column("width", sa.Integer, comment="in pixels; NULL: the header cannot be read"),
    sa.Column("height", sa.Integer, comment="in pixels"),
    sa.Column("source_url", sa.Text, comment="that the bytes came from"),
    sa.Column("etag", sa.Text, comment="that came with them"),
    sa.Column("last_modified", sa.Text, comment="likewise, as the server wrote it"),
    sa.Column("state", sa.Text, nullable=False, comment="stored, absent, failed or vanished"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_attempt", UtcTimestamp),
    sa.Column("reason", sa.Text),
    sa.Column("stored_at", UtcTimestamp),
    sa.Index("ix_media_file_feed_state", "feed", "state"),
    sa.Index("ix_media_file_feed_blob_key", "feed", "blob_key"),
    sa.Index("ix_media_file_feed_next_attempt", "feed", "next_attempt"),
    comment="What is held of each image in the archive",
)

#: Where a website finds the blobs of images, for the views of images.
media_base_url = sa.Table(
    "media_base_url",
    metadata,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("base_url", sa.Text, nullable=False, comment="that blob keys are put behind"),
    comment="The address of each feed's images, as its settings name it",
)

#: Which address each listing was seen with. Never replaced with its listing.
address_sync = sa.Table(
    "address_sync",
    metadata,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("listing_key", sa.Text, primary_key=True),
    sa.Column(
        "seen", sa.Text, nullable=False, comment="address and coordinates in the payload, as text"
    ),
    sa.Column("address_hash", sa.Text, nullable=False, comment="of that address"),
    sa.Column(
        "payload_coordinates", sa.Text, nullable=False, comment="accepted, refused or absent"
    ),
    sa.Column("reason", sa.Text, comment="why the payload's coordinates were refused"),
    sa.Index("ix_address_sync_address_hash", "address_hash"),
    comment="The address that each listing was seen with; right while its payload has it",
)

#: By which settings a feed's coordinates and answers were judged.
address_judgement = sa.Table(
    "address_judgement",
    metadata,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("judged_by", sa.Text, nullable=False, comment="settings of all but the next ones"),
    sa.Column("judging_by", sa.Text, nullable=False, comment="settings that are wanted"),
    sa.Column("judged_until", sa.Text, comment="listings up to this key are judged by them"),
    comment="By which settings the coordinates of each feed's listings were judged",
)

#: What each geocoder said of an address, so that it is not asked again too soon.
geocode_answer = sa.Table(
    "geocode_answer",
    metadata,
    sa.Column("address_hash", sa.Text, primary_key=True),
    sa.Column("provider", sa.Text, primary_key=True, comment="as feeds.yaml names it"),
    sa.Column("state", sa.Text, nullable=False, comment="found, not_found, refused or failed"),
    sa.Column("latitude", sa.Numeric(13, 8)),
    sa.Column("longitude", sa.Numeric(13, 8)),
    sa.Column("precision", sa.Text, comment="rooftop, street, postal_code, fsa or city"),
    sa.Column("confidence", sa.Numeric(5, 4), comment="0 to 1"),
    sa.Column("matched_text", sa.Text, comment="the address that the provider understood"),
    sa.Column("reason", sa.Text, comment="why it was refused or failed"),
    sa.Column("answered_at", UtcTimestamp, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, comment="that failed, one after another"),
    sa.Column("next_attempt", UtcTimestamp, comment="when to ask again; NULL: never"),
    sa.Index("ix_geocode_answer_next_attempt", "next_attempt"),
    comment="What each geocoder said of each address",
)

#: What each geocoder was asked today, and until when it is left alone.
geocode_provider = sa.Table(
    "geocode_provider",
    metadata,
    sa.Column("provider", sa.Text, primary_key=True, comment="as feeds.yaml names it"),
    sa.Column("day", sa.Date, nullable=False, comment="UTC"),
    sa.Column("requests", sa.Integer, nullable=False, comment="on that day"),
    sa.Column("faults", sa.Integer, nullable=False, comment="of the service, one after another"),
    sa.Column("resting_until", UtcTimestamp, comment="it is not asked before"),
    sa.Column("reason", sa.Text, comment="why it rests"),
    comment="What each geocoder was asked for today",
)

#: Records and values that could not be understood, with their raw text and the reason.
quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("quarantine_id", row_number_type(), primary_key=True, autoincrement=True),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("resource_name", sa.Text, nullable=False, comment="Property, Member or Office"),
    sa.Column("resource_record_key", sa.Text, comment="NULL: a record without a readable key"),
    sa.Column("pull_id", sa.Text, nullable=False),
    sa.Column("field", sa.Text, nullable=False, comment="source path; empty: the whole record"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("raw", sa.Text, nullable=False),
    sa.Column("noted_at", UtcTimestamp, nullable=False),
    sa.Index("ix_quarantine_feed_record", "feed", "resource_name", "resource_record_key"),
    comment="Records and values that could not be understood",
)

#: One row for each run on a feed, for questions in SQL.
run_ledger = sa.Table(
    "run_ledger",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True, comment="Dagster's, or one of our own"),
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("job", sa.Text, nullable=False),
    sa.Column("software_version", sa.Text, nullable=False),
    sa.Column("started_at", UtcTimestamp, nullable=False),
    sa.Column("ended_at", UtcTimestamp),
    sa.Column(
        "result",
        sa.Text,
        comment="succeeded, failed or killed; NULL: running, or killed and not noticed yet",
    ),
    sa.Column("lock_name", sa.Text, comment="that it began with; one run at a time holds it"),
    sa.Column(
        "actions",
        json_type(),
        nullable=False,
        comment="what was done, in order, with counts and seconds",
    ),
    sa.Index("ix_run_ledger_feed_started_at", "feed", "started_at"),
    comment="One row for each run on a feed",
)
sa.Index(
    "ix_run_ledger_unended",
    run_ledger.c.lock_name,
    postgresql_where=run_ledger.c.result.is_(None),
    sqlite_where=run_ledger.c.result.is_(None),
)
