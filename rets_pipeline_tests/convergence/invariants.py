"""What must hold at any moment, whoever was killed when.

What belongs here: questions to the warehouse and the archive. What does not: what the server has.
"""

from __future__ import annotations

import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline.geocoding import policy
from rets_pipeline.warehouse import addresses, ledgers, tables
from rets_pipeline.warehouse.engine import Warehouse


def assert_nothing_is_half(warehouse: Warehouse, archive: Archive) -> None:
    """Every listing is whole and in the ledger; what belongs to none is not there."""
    listing, sync = tables.property_, ledgers.listing_sync
    with warehouse.reading() as connection:
        _assert_answers_count(connection)
        live = {row.listing_key: row for row in connection.execute(sa.select(listing))}
        loaded = sa.select(sync.c.listing_key).where(sync.c.content_hash.is_not(None))
        assert live.keys() == set(connection.execute(loaded).scalars())
        children: dict[str, dict[str, int]] = {}
        for name in tables.LISTING_TABLES:
            table = tables.named(name)
            statement = sa.select(table.c.listing_key, sa.func.count()).group_by("listing_key")
            children[name] = {row[0]: row[1] for row in connection.execute(statement)}
            assert children[name].keys() <= live.keys(), name
        for key, row in live.items():
            assert children["media"].get(key, 0) == row.photos_count, key
            assert (key in children["property_member"]) == (row.list_agent_key is not None), key
        buried = set(connection.execute(sa.select(ledgers.tombstone.c.listing_key)).scalars())
        assert not buried & live.keys()
        blobs = sa.select(ledgers.media_file.c.blob_key).where(
            ledgers.media_file.c.blob_key.is_not(None)
        )
        named = set(connection.execute(blobs).scalars())
    # Read after the rows: a blob goes when no row names it any more.
    assert named <= {stored.key for stored in archive.list("images/")}


def _assert_answers_count(connection: sa.Connection) -> None:
    """Each place has the best of its answers; each listing that needs a place has one."""
    table, seen = tables.geocode, ledgers.address_sync
    places = {row.address_hash: row for row in connection.execute(sa.select(table))}
    asked = sa.select(ledgers.geocode_answer.c.address_hash).distinct()
    assert set(connection.execute(asked).scalars()) <= places.keys()
    needed = sa.select(seen.c.address_hash).where(seen.c.payload_coordinates != "accepted")
    assert set(connection.execute(needed).scalars()) <= places.keys()
    for key, answers in addresses.answers(connection, list(places)).items():
        best, place = policy.best(answers.values(), ["nominatim", "offline"]), places[key]
        assert (place.provider, place.precision) == (
            (best.provider, best.precision) if best else (None, None)
        ), key
        assert (place.state == "found") == (best is not None) == (place.latitude is not None), key
