"""The history of listings: what one sees, and that nothing else than the contents decides it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rets_pipeline.sources.base import ParsedListing, Problem
from rets_pipeline.warehouse import comparison, deletion, history, ledgers, tables
from rets_pipeline.warehouse.engine import Warehouse, transaction
from rets_pipeline.warehouse.load import Load, Refused
from rets_pipeline.warehouse.pulls import Pull
from rets_pipeline.warehouse.types import metadata
from rets_pipeline_tests.warehouse.builders import FEED, apply, at, begin, holding, listing, pull_at
from rets_pipeline_tests.warehouse.databases import rows

HISTORY = tables.history_transactional
IN_FIXTURES = [HealthCheck.function_scoped_fixture]

#: ChangeType, FieldName, PreviousValue, NewValue
Told = tuple[str, str | None, str | None, str | None]


def told(warehouse: Warehouse, pull: Pull | None = None, key: str = "1") -> list[Told]:
    """The entries of a listing, of one pull or of all in their order."""
    query = sa.select(
        HISTORY.c.change_type, HISTORY.c.field_name, HISTORY.c.previous_value, HISTORY.c.new_value
    ).where(HISTORY.c.resource_record_key == key)
    if pull is not None:
        query = query.where(HISTORY.c.pull_id == pull.pull_id)
    order = (HISTORY.c.pull_id, HISTORY.c.change_type, HISTORY.c.field_name)
    return [tuple(row) for row in rows(warehouse, query.order_by(*order))]  # type: ignore[misc]


def remove(warehouse: Warehouse, master: Pull, present: Iterable[str] = ()) -> int:
    """What the master list lacks goes."""
    entries = [(key, None) for key in present]
    with warehouse.writing() as connection, holding(connection, entries):
        return deletion.remove(connection, master)


def change(warehouse: Warehouse, **columns: Any) -> list[Told]:
    """What is told when a listing with all kinds of values takes these on."""
    base: dict[str, Any] = {
        "listing_id": "X1",
        "standard_status": "Active",
        "city": "Kelowna",
        "age": "old",
        "list_aor_key": "20",
        "lease_amount": None,
        "living_area": Decimal("120.5"),
        "bedrooms_total": 3,
        "fireplace_yn": True,
        "listing_contract_date": date(2026, 3, 1),
        "photos_change_timestamp": datetime(2026, 3, 1, 12, tzinfo=UTC),
        "latitude": Decimal("49.88765430"),
        "heating": ["Forced air", "Bois"],
        "source_fields": {"b": 1, "a": {"@x": "ç"}},
        "list_agent_key": "a",
        "modification_timestamp": at(0),
    }
    apply(warehouse, pull_at(warehouse, 0), [listing("1", **base)])
    second = pull_at(warehouse, 1)
    more = {name: columns.pop(name) for name in ("price", "rooms") if name in columns}
    apply(warehouse, second, [_marked(listing("1", **more, **{**base, **columns}))])
    return told(warehouse, second)


def _marked(item: ParsedListing) -> ParsedListing:
    """Its content differs from whatever was before, as far as the load can tell."""
    item.content_hash += " again"
    return item


# What one sees ------------------------------------------------------------------------------------


def test_a_listing_and_its_life(warehouse: Warehouse) -> None:
    first, second, third = (pull_at(warehouse, minutes) for minutes in range(3))
    apply(warehouse, first, [listing("1", price=500_000, listing_id="X1")])
    apply(warehouse, second, [listing("1", price=480_000, timestamp=at(-7), listing_id="X1")])
    apply(warehouse, third, [listing("1", "better", price=480_000, listing_id="X1")])
    master = pull_at(warehouse, 3, kind="master_list")
    remove(warehouse, master)
    back = pull_at(warehouse, 4)
    apply(warehouse, back, [listing("1", price=490_000)])

    assert told(warehouse) == [
        ("New Listing", "ListPrice", None, "500000"),
        ("Price Change", "ListPrice", "500000", "480000"),
        ("Field Change", "PublicRemarks", None, None),  # blanked when it was gone
        ("Deleted", "ListPrice", "480000", None),
        ("Back On Market", "ListPrice", None, "490000"),
    ]
    found = rows(warehouse, sa.select(HISTORY).order_by(HISTORY.c.pull_id))
    assert {(row.feed, row.resource_name, row.resource_record_key) for row in found} == {
        (FEED, "Property", "1")
    }
    assert [row.resource_record_id for row in found] == ["X1", "X1", "X1", "X1", None]
    assert [row.modification_timestamp for row in found] == [at(0), at(-7), at(0), at(3), at(0)]
    assert [row.pull_id for row in found] == [
        pull.pull_id for pull in (first, second, third, master, back)
    ]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, []),
        ({"modification_timestamp": at(9)}, []),  # it changes with anything, and tells nothing
        ({"price": 101}, [("Price Change", "ListPrice", "100", "101")]),
        ({"lease_amount": Decimal("2500.50")}, [("Price Change", "LeaseAmount", None, "2500.5")]),
        ({"standard_status": "Pending"}, [("Pending", "StandardStatus", "Active", "Pending")]),
        (
            {"standard_status": "Incomplete"},
            [("Status Change", "StandardStatus", "Active", "Incomplete")],
        ),
        ({"standard_status": None}, [("Status Change", "StandardStatus", "Active", None)]),
        ({"city": None}, [("Field Change", "City", "Kelowna", None)]),
        ({"city": ""}, [("Field Change", "City", "Kelowna", "")]),
        ({"age": "new"}, [("Field Change", "Age", "old", "new")]),  # of no RESO name
        ({"list_aor_key": "21"}, [("Field Change", "ListAORKey", "20", "21")]),
        ({"living_area": Decimal(1200)}, [("Field Change", "LivingArea", "120.5", "1200")]),
        ({"living_area": Decimal("120.5000")}, []),
        ({"bedrooms_total": 30}, [("Field Change", "BedroomsTotal", "3", "30")]),
        ({"fireplace_yn": False}, [("Field Change", "FireplaceYN", "true", "false")]),
        (
            {"listing_contract_date": date(2026, 3, 2)},
            [("Field Change", "ListingContractDate", "2026-03-01", "2026-03-02")],
        ),
        (
            {"photos_change_timestamp": datetime(2026, 3, 1, 12, 0, 0, 5000, tzinfo=UTC)},
            [
                (
                    "Field Change",
                    "PhotosChangeTimestamp",
                    "2026-03-01T12:00:00Z",
                    "2026-03-01T12:00:00.005000Z",
                )
            ],
        ),
        (
            {"latitude": Decimal("49.88765431")},
            [("Field Change", "Latitude", "49.8876543", "49.88765431")],
        ),
        (
            {"heating": ["Bois", "Forced air"]},
            [("Field Change", "Heating", '["Forced air","Bois"]', '["Bois","Forced air"]')],
        ),
        ({"source_fields": {"a": {"@x": "ç"}, "b": 1}}, []),
        (
            {"source_fields": {"b": 1.5}},
            [("Field Change", "SourceFields", '{"a":{"@x":"ç"},"b":1}', '{"b":1.5}')],
        ),
        ({"rooms": 11}, [("Field Change", "Rooms", "2", "11")]),
        (
            {"price": 99, "city": 'Saint-Jérôme, "Q"\n'},
            [
                ("Field Change", "City", "Kelowna", 'Saint-Jérôme, "Q"\n'),
                ("Price Change", "ListPrice", "100", "99"),
            ],
        ),
    ],
    ids=lambda value: ",".join(value) or "nothing" if isinstance(value, dict) else "",
)
def test_a_change(warehouse: Warehouse, columns: dict[str, Any], expected: list[Told]) -> None:
    assert change(warehouse, **columns) == expected


def test_values_look_alike_in_every_session(postgres_warehouse: Warehouse) -> None:
    """Postgres writes moments in the session's time zone."""

    @sa.event.listens_for(postgres_warehouse.engine, "connect")
    def far_away(connection: Any, record: Any) -> None:
        connection.execute("SET TimeZone = 'America/St_Johns'")
        connection.commit()

    moment = datetime(2026, 3, 8, 12, tzinfo=UTC)
    assert change(postgres_warehouse, photos_change_timestamp=moment) == [
        (
            "Field Change",
            "PhotosChangeTimestamp",
            "2026-03-01T12:00:00Z",
            "2026-03-08T12:00:00Z",
        )
    ]


def test_agents_photos_and_open_houses(warehouse: Warehouse) -> None:
    """Agents in their order, open houses by their beginnings, photos by their number."""
    first, second = listing("1", agents=["b", "a"], photos=[(1, "t1")]), listing("1", "second")
    starts = [datetime(2026, 3, day, 14) for day in range(1, 12)]
    for item, order in ((first, starts), (second, starts[1:])):
        item.rows["open_house"] = [
            {"listing_key": "1", "open_house_key": f"1_{n}", "open_house_start_local": start}
            for n, start in enumerate(order, 1)
        ]
        item.rows["property"][0]["public_remarks"] = "the same"
    apply(warehouse, pull_at(warehouse, 0), [first])
    pull = pull_at(warehouse, 1)
    apply(warehouse, pull, [second])

    def text(days: Iterable[int]) -> str:
        return "[" + ",".join(f'"2026-03-{day:02}T14:00:00"' for day in days) + "]"

    assert told(warehouse, pull) == [
        ("Field Change", "Media", "1", "0"),
        ("Field Change", "OpenHouse", text(range(1, 12)), text(range(2, 12))),
        ("Field Change", "PropertyMember", '["b","a"]', None),
    ]


def test_the_order_of_agents_counts_and_that_of_open_houses_does_not(warehouse: Warehouse) -> None:
    items = [listing("1", agents=agents) for agents in (["a", "b"], ["b", "a"])]
    for item, days in zip(items, ([1, 2], [2, 1]), strict=True):
        item.rows["open_house"] = [
            {"listing_key": "1", "open_house_key": f"1_{n}", "open_house_start_local": start}
            for n, start in enumerate([*(datetime(2026, 3, day, 14) for day in days), None], 1)
        ]
    apply(warehouse, pull_at(warehouse, 0), items[:1])
    pull = pull_at(warehouse, 1)
    apply(warehouse, pull, [_marked(items[1])])
    assert told(warehouse, pull) == [("Field Change", "PropertyMember", '["a","b"]', '["b","a"]')]


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"list_price": Decimal(7), "lease_amount": Decimal(8)}, ("ListPrice", "7")),
        ({"list_price": None, "lease_amount": Decimal("8.25")}, ("LeaseAmount", "8.25")),
        ({"list_price": Decimal(0)}, ("ListPrice", "0")),
        ({"list_price": None}, (None, None)),
    ],
)
def test_the_asking_price(
    warehouse: Warehouse, columns: dict[str, Any], named: tuple[str | None, str | None]
) -> None:
    apply(warehouse, pull_at(warehouse, 0), [listing("1", **columns)])
    remove(warehouse, pull_at(warehouse, 1, kind="master_list"))
    name, price = named
    assert told(warehouse) == [("New Listing", name, None, price), ("Deleted", name, price, None)]


def test_other_feeds_and_other_listings_are_not_mixed_up(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection:
        connection.execute(
            tables.property_.insert().values(feed="other", listing_key="1", city="Elsewhere")
        )
        connection.execute(
            HISTORY.insert().values(
                feed="other",
                history_transactional_key="k",
                resource_name="Property",
                resource_record_key="1",
                change_type="Field Change",
                field_name="City",
                new_value="Elsewhere",
            )
        )
    apply(warehouse, pull_at(warehouse, 0), [listing("1"), listing("2")])
    pull = pull_at(warehouse, 1)
    apply(warehouse, pull, [listing("1", price=1), listing("2", price=2), listing("3")])
    assert told(warehouse, pull, "1") == [("Price Change", "ListPrice", "100", "1")]
    assert told(warehouse, pull, "2") == [("Price Change", "ListPrice", "100", "2")]
    remove(warehouse, pull_at(warehouse, 2, kind="master_list"))
    (kept,) = rows(warehouse, sa.select(HISTORY).where(HISTORY.c.feed == "other"))
    assert kept.new_value == "Elsewhere"


# When a listing is gone ---------------------------------------------------------------------------


def test_nothing_personal_remains(warehouse: Warehouse) -> None:
    """Numbers, dates, yes and no and the status stay; everything else goes."""
    before = listing("1", "Call Ann", agents=["a"], rooms=1)
    after = listing(
        "1",
        "Call Bob",
        price=90,
        rooms=3,
        agents=["b"],
        standard_status="Pending",
        city="Kelowna",
        unparsed_address="1 Example Street",
        list_agent_key="b",
        list_office_key="o",
        latitude=Decimal(49),
        longitude=Decimal(-119),
        heating=["Ann's stove"],
        source_fields={"Note": "Ann"},
        bedrooms_total=4,
        living_area=Decimal(100),
        fireplace_yn=False,
        listing_contract_date=date(2026, 3, 1),
        photos_change_timestamp=at(0),
    )
    after.rows["open_house"] = [
        {
            "listing_key": "1",
            "open_house_key": "1_1",
            "open_house_start_local": datetime(2026, 3, 9, 14),
            "open_house_remarks": "Ask for Ann",
        }
    ]
    apply(warehouse, pull_at(warehouse, 0), [before])
    second = pull_at(warehouse, 1)
    apply(warehouse, second, [after, listing("2")])
    live = {name: (old, new) for _, name, old, new in told(warehouse, second)}
    apply(warehouse, pull_at(warehouse, 2), [listing("2", "Call Carl")])

    remove(warehouse, pull_at(warehouse, 3, kind="master_list"), ["2"])

    left = {name: (old, new) for _, name, old, new in told(warehouse, second)}
    assert left.keys() == live.keys()
    stays = {
        "ListPrice", "StandardStatus", "Rooms", "BedroomsTotal", "LivingArea", "FireplaceYN",
        "ListingContractDate", "PhotosChangeTimestamp", "OpenHouse",
    }  # fmt: skip
    assert {name: left[name] for name in stays} == {name: live[name] for name in stays}
    assert {left[name] for name in left.keys() - stays} == {(None, None)}
    assert {live[name] for name in left.keys() - stays} != {(None, None)}
    assert ("Field Change", "PublicRemarks", "first", "Call Carl") in told(warehouse, key="2")


def test_what_remains_is_decided_for_every_column() -> None:
    """Text is never a measure; whoever adds a column that is one of a person sees this test."""
    remaining = set(history.remaining())
    texts = {
        field.field_name
        for field in comparison.columns()
        if isinstance(field.type, (sa.Text, sa.JSON)) and field.name != "standard_status"
    }
    assert not remaining & texts
    assert not remaining & {"Latitude", "Longitude", "PropertyMember"}
    assert {"ListPrice", "LeaseAmount", "StandardStatus", "Rooms", "Media"} <= remaining


def test_every_table_and_column_of_a_listing_is_compared_under_a_name_of_its_own() -> None:
    columns = {field.name for field in comparison.columns()}
    uncompared = tables.UNCOMPARED_COLUMNS["property"]
    assert columns | uncompared | {"feed", "listing_key"} == set(tables.property_.columns.keys())
    children = {child.name for child in comparison.children()}
    assert {"property", *children} == set(tables.LISTING_TABLES)
    names = Counter(field.field_name for field in (*comparison.columns(), *comparison.children()))
    assert max(names.values()) == 1


def test_a_key_that_never_was_a_listing_is_new_although_it_has_a_tombstone(
    warehouse: Warehouse,
) -> None:
    apply(warehouse, pull_at(warehouse, 0), [], asked={"1": None})
    remove(warehouse, pull_at(warehouse, 1, kind="master_list"))
    assert told(warehouse) == []
    apply(warehouse, pull_at(warehouse, 2), [listing("1")])
    assert told(warehouse) == [("New Listing", "ListPrice", None, "100")]
    for minutes in (3, 5):
        remove(warehouse, pull_at(warehouse, minutes, kind="master_list"))
        apply(warehouse, pull_at(warehouse, minutes + 1), [listing("1", price=minutes)])
    assert [entry[0] for entry in told(warehouse)] == [
        "New Listing", "Deleted", "Back On Market", "Deleted", "Back On Market",
    ]  # fmt: skip


# Replays and crashes ------------------------------------------------------------------------------


def test_a_replay_with_a_better_mapping_tells_nothing(warehouse: Warehouse) -> None:
    first, second = pull_at(warehouse, 0), pull_at(warehouse, 1)
    apply(warehouse, first, [listing("1")])
    apply(warehouse, second, [listing("1", price=90)])
    before = told(warehouse)
    apply(warehouse, first, [listing("1", city="Kelowna")], replay=True)
    apply(warehouse, second, [listing("1", price=90, city="Kelowna")], replay=True)
    assert told(warehouse) == before
    third = pull_at(warehouse, 2)
    apply(warehouse, third, [listing("1", price=80, city="Kelowna")])
    assert told(warehouse, third) == [("Price Change", "ListPrice", "90", "80")]


def test_what_was_refused_is_told_when_a_replay_understands_it(warehouse: Warehouse) -> None:
    refused = [Refused("1", Problem("", "cannot be read", ""))]
    apply(warehouse, pull_at(warehouse, 0), [listing("1")])
    second = pull_at(warehouse, 1)
    apply(warehouse, second, [], asked={"1": None}, refused=refused)
    assert told(warehouse, second) == []
    for _ in range(2):
        apply(warehouse, second, [listing("1", price=90)], replay=True)
        assert told(warehouse, second) == [("Price Change", "ListPrice", "100", "90")]


def test_a_refused_listing_leaves_no_entry(warehouse: Warehouse) -> None:
    """Its neighbours of the batch do, once."""
    apply(warehouse, pull_at(warehouse, 0), [listing("1"), listing("2")])
    bad = listing("2", price=90)
    bad.rows["property_rooms"].append(dict(bad.rows["property_rooms"][0]))
    pull = pull_at(warehouse, 1)
    apply(warehouse, pull, [listing("1", price=90), bad, listing("3")])
    assert told(warehouse, pull, "1") == [("Price Change", "ListPrice", "100", "90")]
    assert told(warehouse, pull, "2") == []
    assert told(warehouse, pull, "3") == [("New Listing", "ListPrice", None, "100")]


def test_many_listings_change_at_once(warehouse: Warehouse) -> None:
    """More than one statement's worth, each with its own values."""
    keys = [str(number) for number in range(1_200)]
    apply(warehouse, pull_at(warehouse, 0), [listing(key, rooms=0) for key in keys])
    pull = pull_at(warehouse, 1)
    apply(warehouse, pull, [listing(key, rooms=0, price=1_000 + int(key)) for key in keys])
    query = sa.select(HISTORY.c.resource_record_key, HISTORY.c.new_value)
    found = rows(warehouse, query.where(HISTORY.c.pull_id == pull.pull_id))
    assert dict(found) == {key: str(1_000 + int(key)) for key in keys}  # type: ignore[arg-type]
    remove(warehouse, pull_at(warehouse, 2, kind="master_list"))
    query = sa.select(HISTORY.c.resource_record_key, HISTORY.c.previous_value)
    found = rows(warehouse, query.where(HISTORY.c.change_type == "Deleted"))
    assert dict(found) == {key: str(1_000 + int(key)) for key in keys}  # type: ignore[arg-type]


def test_nothing_is_left_in_the_session(postgres_warehouse: Warehouse) -> None:
    """What was replaced may be personal, and connections live long."""
    apply(postgres_warehouse, pull_at(postgres_warehouse, 0), [listing("1")])
    pull = pull_at(postgres_warehouse, 1)
    with postgres_warehouse.engine.connect() as connection:
        with transaction(connection):
            Load(connection, pull, {"1": None}).batch([listing("1", "second")])
            kept = connection.execute(sa.text("SELECT public_remarks FROM listing_before"))
            assert kept.scalars().all() == ["first"]
        for name in ("listing_before", "history_received"):
            count = connection.execute(sa.text(f"SELECT count(*) FROM {name}"))
            assert count.scalar_one() == 0


# Against a simple oracle --------------------------------------------------------------------------

#: values of columns, and as the history shows them
VALUES: dict[str, list[tuple[Any, str | None]]] = {
    "list_price": [(None, None), (Decimal("100.00"), "100"), (Decimal("100.5"), "100.5")],
    "standard_status": [("Active", "Active"), ("Pending", "Pending"), ("Delete", "Delete")],
    "public_remarks": [(None, None), ("", ""), ('a "ç"\n,[1,2]', 'a "ç"\n,[1,2]')],
    "bedrooms_total": [(None, None), (0, "0"), (-7, "-7")],
    "acreage": [(None, None), (True, "true"), (False, "false")],
    "heating": [(None, None), ([], "[]"), (["b", "a"], '["b","a"]')],
    "photos_change_timestamp": [
        (None, None),
        (at(0), "2026-03-01T12:00:00Z"),
        (at(0) + timedelta(microseconds=120), "2026-03-01T12:00:00.000120Z"),
    ],
}
NAMES = {
    "list_price": "ListPrice",
    "standard_status": "StandardStatus",
    "public_remarks": "PublicRemarks",
    "bedrooms_total": "BedroomsTotal",
    "acreage": "Acreage",
    "heating": "Heating",
    "photos_change_timestamp": "PhotosChangeTimestamp",
    "rooms": "Rooms",
    "agents": "PropertyMember",
}
ROOMS = ["0", "1", "2"]
AGENTS: list[tuple[list[str], str | None]] = [
    ([], None),
    (["a"], '["a"]'),
    (["b", "a"], '["b","a"]'),
]
BLANKED = {"PublicRemarks", "Heating", "PropertyMember"}
KEYS = ("1", "2")

#: which of the three values each field has; None: the key was refused, or asked for in vain
Content = dict[str, int]


@st.composite
def contents(draw: st.DrawFn) -> Content:
    """Most are the first value, so that changes are few and equal contents come again."""
    return {name: draw(st.sampled_from([0, 0, 0, 1, 2])) for name in NAMES}


OUTCOMES = st.one_of(contents(), contents(), contents(), st.sampled_from(["refused", "vain", "no"]))


@dataclass(frozen=True)
class Step:
    """Something that happens.

    Attributes:
        kind: ``pull`` (of these outcomes), ``late`` (the same, applied by a later replay at the
            earliest), ``replay`` (of an earlier pull), ``gone`` (these keys).
        crashes: how often it breaks off before it ends well.
    """

    kind: str
    outcomes: dict[str, Any] = field(default_factory=dict)
    chosen: int = 0
    keys: tuple[str, ...] = ()
    crashes: int = 0


def steps(kinds: Sequence[str]) -> st.SearchStrategy[list[Step]]:
    """Random lives of a few listings."""
    step = st.builds(
        Step,
        kind=st.sampled_from(kinds),
        outcomes=st.fixed_dictionaries(dict.fromkeys(KEYS, OUTCOMES)),
        chosen=st.integers(0, 20),
        keys=st.sampled_from([KEYS, ("1",), ("2",), ()]),
        crashes=st.sampled_from([0, 0, 0, 1, 2]),
    )
    return st.lists(step, min_size=2, max_size=9)


class Oracle:
    """What the history must say, kept as simply as it can be told."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, int, str | None, str], list[str | None]] = {}
        self._live: dict[str, dict[str, str | None]] = {}
        self._seen: dict[str, int] = {}  # the latest pull that asked for it
        self._done: set[tuple[str, int]] = set()
        self._gone: dict[str, int] = {}
        self._ever: set[str] = set()

    def pull(self, number: int, outcomes: dict[str, Any]) -> None:
        for key, outcome in outcomes.items():
            stale = max(self._seen.get(key, -1), self._gone.get(key, -1)) > number
            if outcome == "no" or stale:
                continue
            self._seen[key] = number
            if isinstance(outcome, dict) and (key, number) not in self._done:
                self._done.add((key, number))
                self._observe(key, number, shown(outcome))

    def _observe(self, key: str, number: int, now: dict[str, str | None]) -> None:
        before = self._live.get(key)
        self._live[key] = now
        if before is None:
            kind = "Back On Market" if key in self._ever else "New Listing"
            self._note(key, number, kind, None, now["ListPrice"])
            self._ever.add(key)
            return
        for name, value in now.items():
            if value != before[name]:
                kind = {"ListPrice": "Price Change", "StandardStatus": value}.get(
                    name, "Field Change"
                )
                kind = "Status Change" if kind == "Delete" else kind
                assert kind is not None
                self._note(key, number, kind, before[name], value, name)

    def gone(self, number: int, keys: Sequence[str]) -> None:
        for key in keys:
            if key in self._seen:
                del self._seen[key]
                self._gone[key] = number
                for (record, _, name, _), values in self.entries.items():
                    if record == key and name in BLANKED:
                        values[:] = [None, None]
                if key in self._live:
                    self._note(key, number, "Deleted", self._live.pop(key)["ListPrice"], None)

    def _note(
        self,
        key: str,
        number: int,
        kind: str,
        old: str | None,
        new: str | None,
        name: str | None = None,
    ) -> None:
        if name is None:
            name = None if (old, new) == (None, None) else "ListPrice"
        self.entries[key, number, name, kind] = [old, new]


def shown(content: Content) -> dict[str, str | None]:
    """A content's values as the history shows them, by FieldName."""
    texts = {NAMES[name]: VALUES[name][content[name]][1] for name in VALUES}
    return {
        **texts,
        "Rooms": ROOMS[content["rooms"]],
        "PropertyMember": AGENTS[content["agents"]][1],
    }


def as_listing(key: str, content: Content) -> ParsedListing:
    values = {name: VALUES[name][content[name]][0] for name in VALUES}
    item = listing(
        key, rooms=0, agents=AGENTS[content["agents"]][0], timestamp=at(0), listing_id=key
    )
    item.rows["property"][0].update(values)
    item.rows["property_rooms"] = [
        {"listing_key": key, "room_key": f"{key}_{n}"} for n in range(content["rooms"])
    ]
    item.content_hash = repr(sorted(content.items()))
    return item


class World:
    """The same steps on a real warehouse, in one transaction that is rolled back."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.made: list[tuple[Pull, Step]] = []
        self._numbers: dict[str, int] = {}

    def make(self, step: Step) -> Pull:
        """The pull or the master list of a step."""
        number = len(self.made)
        kind: Any = "master_list" if step.kind == "gone" else "listings"
        pull = begin(self.connection, 100 + number, kind=kind)
        self.made.append((pull, step))
        self._numbers[pull.pull_id] = number
        return pull

    def apply(self, pull: Pull, step: Step, *, replay: bool = False) -> None:
        """Do it, after as many crashes."""
        for remaining in reversed(range(step.crashes + 1)):
            attempt = self.connection.begin_nested()
            self._once(pull, step, replay=replay)
            if remaining:
                attempt.rollback()
            else:
                attempt.commit()

    def _once(self, pull: Pull, step: Step, *, replay: bool) -> None:
        if step.kind == "gone":
            kept = [(key, None) for key in KEYS if key not in step.keys]
            with holding(self.connection, kept):
                deletion.remove(self.connection, pull)
            return
        asked = {key: at(0) for key, outcome in step.outcomes.items() if outcome != "no"}
        load = Load(self.connection, pull, dict(asked), replay=replay, now=at(500))
        load.batch(
            [
                as_listing(key, outcome)
                for key, outcome in step.outcomes.items()
                if isinstance(outcome, dict)
            ],
            [
                Refused(key, Problem("", "cannot be read", ""))
                for key, outcome in step.outcomes.items()
                if outcome == "refused"
            ],
        )
        load.finish()

    def entries(self) -> dict[tuple[str, int, str | None, str], list[str | None]]:
        """As the oracle has them."""
        found = list(self.connection.execute(sa.select(HISTORY)))
        entries = {
            (
                row.resource_record_key,
                self._numbers[row.pull_id],
                row.field_name,
                row.change_type,
            ): [row.previous_value, row.new_value]
            for row in found
        }
        assert len(entries) == len(found)
        return entries

    def show_up_to(self, pull: Pull) -> None:
        """Let this pull be the last complete one: only the newest master list deletes."""
        state = sa.case((ledgers.pull.c.pull_id <= pull.pull_id, "complete"), else_="requested")
        self.connection.execute(sa.update(ledgers.pull).values(state=state))

    def empty(self, *, without: Sequence[str]) -> None:
        for table in metadata.sorted_tables:
            if table.name not in without:
                self.connection.execute(sa.delete(table))


def run(world: World, oracle: Oracle, lives: list[Step]) -> None:
    """Any order of pulls, replays, deletions and crashes."""
    for step in lives:
        if step.kind == "replay":
            pulls = [number for number, (_, made) in enumerate(world.made) if made.kind != "gone"]
            if pulls:
                number = pulls[step.chosen % len(pulls)]
                pull, made = world.made[number]
                world.apply(pull, made, replay=True)
                oracle.pull(number, made.outcomes)
            continue
        number = len(world.made)
        pull = world.make(step)
        if step.kind == "gone":
            world.apply(pull, step)
            oracle.gone(number, step.keys)
        elif step.kind == "pull":
            world.apply(pull, step)
            oracle.pull(number, step.outcomes)


def check_any_order(warehouse: Warehouse, lives: list[Step]) -> None:
    with warehouse.engine.connect() as connection, connection.begin() as outer:
        world, oracle = World(connection), Oracle()
        run(world, oracle, lives)
        assert world.entries() == oracle.entries
        outer.rollback()


def check_rebuilding(warehouse: Warehouse, lives: list[Step]) -> None:
    """Once with replays and crashes between, once straight on: the same history.

    And a third time over a history that stands already, when only the other tables were emptied.
    """
    with warehouse.engine.connect() as connection, connection.begin() as outer:
        world = World(connection)
        run(world, Oracle(), lives)
        expected = connection.execute(sa.select(HISTORY).order_by(*HISTORY.primary_key)).all()
        for without in (["pull"], ["pull", HISTORY.name]):
            world.empty(without=without)
            for pull, step in world.made:
                world.show_up_to(pull)
                world.apply(pull, replace(step, crashes=0))
            found = connection.execute(sa.select(HISTORY).order_by(*HISTORY.primary_key)).all()
            assert found == expected
        outer.rollback()


ANY_ORDER = steps(["pull", "pull", "pull", "late", "replay", "replay", "gone"])
IN_ORDER = steps(["pull", "pull", "pull", "replay", "replay", "gone"])


@given(lives=ANY_ORDER)
@settings(max_examples=60, deadline=None, suppress_health_check=IN_FIXTURES)
def test_only_what_was_observed_is_told_on_sqlite(
    sqlite_warehouse: Warehouse, lives: list[Step]
) -> None:
    check_any_order(sqlite_warehouse, lives)


@given(lives=ANY_ORDER)
@settings(max_examples=20, deadline=None, suppress_health_check=IN_FIXTURES)
def test_only_what_was_observed_is_told_on_postgres(
    postgres_warehouse: Warehouse, lives: list[Step]
) -> None:
    check_any_order(postgres_warehouse, lives)


@pytest.mark.nightly  # by day on PostgreSQL
@given(lives=IN_ORDER)
@settings(max_examples=30, deadline=None, suppress_health_check=IN_FIXTURES)
def test_a_warehouse_built_anew_has_the_same_history_on_sqlite(
    sqlite_warehouse: Warehouse, lives: list[Step]
) -> None:
    check_rebuilding(sqlite_warehouse, lives)


@given(lives=IN_ORDER)
@settings(max_examples=10, deadline=None, suppress_health_check=IN_FIXTURES)
def test_a_warehouse_built_anew_has_the_same_history_on_postgres(
    postgres_warehouse: Warehouse, lives: list[Step]
) -> None:
    check_rebuilding(postgres_warehouse, lives)
