"""The resources that a server is asked for by searches of their own.

What belongs here: where the rows and the books of each are. What does not: the statements on them,
and how a server is asked (``sources``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from rets_pipeline.warehouse import ledgers, tables

#: what a pull holds
Kind = Literal[
    "master_list", "listings", "member_master_list", "members", "office_master_list", "offices"
]


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that is compared with its own master list.

    Attributes:
        name: RESO's: the value of ``resource_name`` in the books and of ``observed_in`` in rows.
        table: its rows.
        key: their key column beside ``feed``.
        ledger: what is held of each key.
        tombstones: which keys are gone.
        kind: of its pulls, and what people call many of its records.
        master_list_kind: of its master lists.
        master_list_folder: where those are in the archive.
        by_day: whether its pulls are grouped by the days of the records' timestamps.
    """

    name: str
    table: sa.Table
    key: str
    ledger: sa.Table
    tombstones: sa.Table
    kind: Kind
    master_list_kind: Kind
    master_list_folder: str
    by_day: bool

    def key_in(self, table: sa.Table) -> sa.Column[str]:
        """The column that holds the resource's keys in one of its tables or ledgers."""
        return table.c[self.key if self.key in table.c else "resource_record_key"]

    def rows_in(self, table: sa.Table, feed: str) -> sa.ColumnElement[bool]:
        """The resource's rows in one of its tables or ledgers.

        Members and offices that only listings tell of are no rows of their own search.
        """
        of_feed: sa.ColumnElement[bool] = table.c.feed == feed
        if self.key not in table.c:  # shared by several resources
            return sa.and_(of_feed, table.c.resource_name == self.name)
        if table is self.table and "observed_in" in table.c:
            return sa.and_(of_feed, table.c.observed_in == self.name)
        return of_feed

    def ledger_row(self, feed: str, key: str) -> dict[str, str]:
        """What a row of the ledger, or of the tombstones, begins with."""
        if self.key in self.ledger.c:
            return {"feed": feed, self.key: key}
        return {"feed": feed, "resource_name": self.name, "resource_record_key": key}


LISTINGS = Resource(
    name="Property",
    table=tables.property_,
    key="listing_key",
    ledger=ledgers.listing_sync,
    tombstones=ledgers.tombstone,
    kind="listings",
    master_list_kind="master_list",
    master_list_folder="listing_master_list",
    by_day=True,
)
MEMBERS = Resource(
    name="Member",
    table=tables.member,
    key="member_key",
    ledger=ledgers.resource_sync,
    tombstones=ledgers.resource_tombstone,
    kind="members",
    master_list_kind="member_master_list",
    master_list_folder="member_master_list",
    by_day=False,
)
OFFICES = Resource(
    name="Office",
    table=tables.office,
    key="office_key",
    ledger=ledgers.resource_sync,
    tombstones=ledgers.resource_tombstone,
    kind="offices",
    master_list_kind="office_master_list",
    master_list_folder="office_master_list",
    by_day=False,
)

#: those beside listings, each with the table that listings share
OTHERS: tuple[Resource, ...] = (MEMBERS, OFFICES)
