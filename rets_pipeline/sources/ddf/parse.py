"""One DDF record as rows of the warehouse.

What belongs here: how the rows of one listing belong together: keys, order, shared rows, derived
columns. What does not: single values (``mapping``, ``values``), and anything about databases.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from rets_pipeline.sources.base import ParsedListing, Problem, Row, UnparsedListing
from rets_pipeline.sources.ddf import mapping, values, zones
from rets_pipeline.sources.ddf.engine import (
    Engine,
    Item,
    Rest,
    add_rest,
    to_json,
)
from rets_pipeline.sources.ddf.hashing import content_hash, without_ticks
from rets_pipeline.sources.ddf.queries import is_key
from rets_pipeline.sources.ddf.records import (
    as_plain,
    contacts,
    logo_token,
    portrait_token,
    refusal,
)
from rets_pipeline.sources.ddf.values import change_token
from rets_pipeline.sources.plain import NotPlain

_ENGINE = Engine(mapping.PROPERTY)

#: lookup values with commas, by lookup, in a form that can be a key of a cache
Known = tuple[tuple[str, tuple[str, ...]], ...]


def parse_listing(
    record: Any, *, lookups: Known | None = None, known_hash: str | None = None
) -> ParsedListing | UnparsedListing:
    """A ``PropertyDetails`` record as rows.

    Args:
        record: its bytes, from start tag to end tag, or an ``lxml`` element, which is not changed.
        lookups: values with commas; None: those of the documentation.
        known_hash: the hash of its content, when the caller has it.

    Raises:
        NotPlain: the bytes are for a parser first (``sources.plain``).
    """
    try:
        engine = _ENGINE if lookups is None else _engine(lookups)
        parsed = _parse(as_plain(record), engine, known_hash)
    except NotPlain:
        raise
    except Exception as error:
        # One record must never end a load of many; the quarantine shows what came.
        parsed = f"cannot be read ({type(error).__name__})"
    return UnparsedListing(*refusal(record, parsed)) if isinstance(parsed, str) else parsed


@lru_cache(maxsize=8)
def _engine(known: Known) -> Engine:
    return Engine(mapping.taught(mapping.PROPERTY, dict(known)))


def _parse(record: bytes, engine: Engine, known_hash: str | None) -> ParsedListing | str:
    """The listing, or what is wrong with the record."""
    item, problems = engine.read(record)
    if item.name.lower() != "propertydetails":
        return f"is a {item.name}, not a PropertyDetails"
    key = item.row["listing_key"]
    if key is None or not is_key(key):
        return "has no usable ID"
    listing = _Listing(key, item, problems)
    return ParsedListing(
        listing_key=key,
        payload_timestamp=item.row["modification_timestamp"],
        content_hash=known_hash or content_hash(record),
        rows=listing.rows(),
        problems=problems,
    )


@dataclass(slots=True)
class _Shared:
    """The rows of one resource that a listing names, each key once."""

    table: str
    key: str
    resource_name: str
    entries: dict[str, tuple[Row, list[Row], list[Row]]] = field(default_factory=dict)

    def add(self, row: Row, phones: list[Row], websites: list[Row]) -> bool:
        """Keep an entry; False when its key is there already with other content."""
        entry = (row, phones, websites)
        known = self.entries.setdefault(row[self.key], entry)
        return known is entry or _comparable(known) == _comparable(entry)


def _comparable(entry: tuple[Row, list[Row], list[Row]]) -> tuple[Row, list[Row], list[Row]]:
    row, phones, websites = entry
    logo = row.get("logo_url")
    return ({**row, "logo_url": without_ticks(logo)} if logo else row), phones, websites


class _Listing:
    """The rows of one listing, made from what was read of its record."""

    def __init__(self, key: str, item: Item, problems: list[Problem]) -> None:
        self._key = key
        self._item = item
        self._problems = problems
        self._rest = item.rest
        row = item.row
        self._zone = zones.zone_name(row["state_or_province"], row["latitude"], row["longitude"])
        self._members = _Shared("member", "member_key", "Member")
        self._offices = _Shared("office", "office_key", "Office")

    def rows(self) -> dict[str, list[Row]]:
        rows = {
            "property_rooms": self._rooms(),
            "media": self._media(),
            "open_house": self._open_houses(),
            "property_member": self._agents(),
        }
        rows["property"] = [self._property(rows["media"], rows["property_member"])]
        rows["other_phone"], rows["social_media"] = [], []
        for shared in (self._members, self._offices):
            rows[shared.table] = [entry[0] for entry in shared.entries.values()]
            for _, phones, websites in shared.entries.values():
                rows["other_phone"] += phones
                rows["social_media"] += websites
        return rows

    def _items(self, path: str) -> list[Item]:
        return self._item.items.get(path, [])

    # The listing itself ---------------------------------------------------------------------

    def _property(self, media: list[Row], agents: list[Row]) -> Row:
        row = self._item.row
        row["standard_status"] = mapping.STANDARD_STATUS
        row["property_type"] = _property_type(row)
        row["property_time_zone_name"] = self._zone
        row["unparsed_address"] = _unparsed_address(row)
        self._complete(row)
        moments = [photo["media_modification_timestamp"] for photo in media]
        row["photos_count"] = len(media)
        row["photos_change_timestamp"] = max((m for m in moments if m is not None), default=None)
        row["parking_spaces"], row["parking_features"] = _entries(
            self._items(mapping.PARKING.path), "name"
        )
        row["utilities_available"], row["utilities"] = _entries(
            self._items(mapping.UTILITY.path), "type"
        )
        first, second = [*agents[:2], {}, {}][:2]
        row["list_agent_key"] = first.get("member_key")
        row["list_office_key"] = first.get("office_key")
        row["co_list_agent_key"] = second.get("member_key")
        row["co_list_office_key"] = second.get("office_key")
        row["source_fields"] = self._rest
        return row

    def _complete(self, row: Row) -> None:
        """What an element says that is missing, another one says in other words."""
        if row["list_price"] is None and not _holds(self._rest, "Price"):
            row["list_price"] = row["lease_amount"]
        area, unit = row["lot_size_area"], row["lot_size_units"]
        row["lot_size_acres"] = values.converted(area, unit, "Acres")
        row["lot_size_square_feet"] = values.converted(area, unit, "Square Feet")
        if row["basement"] is not None and row["basement_development"] is None:
            text = _kept(self._rest, "Building", "BasementType")
            if text is not None:
                row["basement_development"] = values.basement_developments(text) or None

    # Its children ---------------------------------------------------------------------------

    def _rooms(self) -> list[Row]:
        rows = []
        for place, item in enumerate(self._items(mapping.ROOM.path), 1):
            row = item.row
            row["listing_key"] = self._key
            row["room_key"] = f"{self._key}_{place}"
            row["source_fields"] = item.rest
            _agree_on_unit(row)
            rows.append(row)
        return rows

    def _open_houses(self) -> list[Row]:
        events = [(item, "Public") for item in self._items(mapping.OPEN_HOUSE.path)]
        events += [(item, "Livestream Public") for item in self._items(mapping.LIVE_STREAM.path)]
        rows = []
        for place, (item, kind) in enumerate(events, 1):
            row = item.row
            row["listing_key"] = self._key
            row["open_house_key"] = f"{self._key}_{place}"
            row["open_house_type"] = kind
            for name in ("open_house_start", "open_house_end"):
                row[f"{name}_time"], row[f"{name}_local"] = self._both(row[f"{name}_local"])
            start = row["open_house_start_local"]
            row["open_house_date"] = None if start is None else start.date()
            row["source_fields"] = item.rest
            rows.append(row)
        return rows

    def _both(self, moment: datetime | None) -> tuple[datetime | None, datetime | None]:
        """A moment of an event in UTC, and as the clocks at the property show it."""
        if moment is None:
            return None, None
        return zones.utc(moment, self._zone), zones.local(moment, self._zone)

    def _media(self) -> list[Row]:
        key, record_id = self._key, self._item.row["listing_id"]
        rows: list[Row] = []
        keys: set[str] = set()
        for place, item in enumerate(self._items(mapping.PHOTO.path), 1):
            row = item.row
            order = row["order"]
            media_key = f"{key}_p{place}" if order is None else f"{key}_{order}"
            if order is None or media_key in keys:
                media_key = self._other_media_key(media_key, order, keys)
            keys.add(media_key)
            row["media_key"] = media_key
            row["listing_key"] = row["resource_record_key"] = key
            row["resource_record_id"] = record_id
            row["resource_name"] = "Property"
            row["media_category"] = "Photo"
            row["preferred_photo_yn"] = order == 1
            row["change_token"] = _photo_token(row)
            row["source_fields"] = item.rest
            rows.append(row)
        return rows

    def _other_media_key(self, media_key: str, order: int | None, keys: set[str]) -> str:
        reason = "no photo number" if order is None else "a photo number that occurs twice"
        self._problems.append(Problem("Photo/PropertyPhoto/SequenceID", reason, str(order or "")))
        number, unique = 2, media_key
        while unique in keys:
            unique = f"{media_key}_{number}"
            number += 1
        return unique

    # Its agents and their offices -----------------------------------------------------------

    def _agents(self) -> list[Row]:
        rows = []
        for order, item in enumerate(self._items(mapping.AGENT_IN_LISTING.path), 1):
            offices = item.items.get(mapping.OFFICE_IN_LISTING.path, [])
            office_key, uncompared, rest = self._office(offices, item.rest)
            member_key, rest = self._member(item, office_key, rest)
            rows.append(
                {
                    "listing_key": self._key,
                    "order": order,
                    "member_key": member_key,
                    "office_key": office_key,
                    "role": "ListAgent" if order == 1 else "CoListAgent",
                    "source_fields": rest,
                    "uncompared_fields": uncompared,
                }
            )
        return rows

    def _member(
        self, item: Item, office_key: str | None, rest: Rest | None
    ) -> tuple[str | None, Rest | None]:
        """Keep an agent's row; what it cannot hold goes into the listing's ``rest``."""
        row = item.row
        key: str | None = row["member_key"]
        if key is None:
            self._problems.append(Problem("AgentDetails/@ID", "an agent without a key", ""))
            return None, add_rest(rest, "Agent", _without_offices(to_json(item.element)))
        row["office_key"] = office_key
        row["observed_in"] = "Property"
        row["source_fields"] = row["modification_timestamp"] = row["uncompared_fields"] = None
        row["photo_change_token"] = portrait_token(row)
        phones, websites, rest = contacts(item, "Member", key, rest)
        if key in self._members.entries:
            self._problems.append(Problem("AgentDetails/@ID", "an agent that occurs twice", key))
        if not self._members.add(row, phones, websites):
            rest = add_rest(rest, "Agent", _without_offices(to_json(item.element)))
        return key, rest

    def _office(
        self, offices: list[Item], rest: Rest | None
    ) -> tuple[str | None, Rest | None, Rest | None]:
        """Keep the row of an agent's office.

        Returns:
            Its key, what must not be compared, and the listing's ``rest``.
        """
        key: str | None = None
        uncompared: Rest | None = None
        for item in offices:
            row = item.row
            moments, row["uncompared_fields"] = row["uncompared_fields"], None
            found: str | None = row["office_key"]
            if found is None or key is not None:
                reason = "an office without a key" if found is None else "a second office"
                self._problems.append(Problem("AgentDetails/Office/@ID", reason, found or ""))
            if found is None or key is not None:
                rest = add_rest(rest, "Office", _without_moments(to_json(item.element)))
            else:
                key = found
                rest = self._keep_office(item, key, rest)
            for path, text in (moments or {}).items():
                uncompared = {**(uncompared or {}), path: text}
        return key, uncompared, rest

    def _keep_office(self, item: Item, key: str, rest: Rest | None) -> Rest | None:
        row = item.row
        row["observed_in"] = "Property"
        row["source_fields"] = row["modification_timestamp"] = row["logo_last_updated"] = None
        row["logo_change_token"] = logo_token(row)
        office_rest = item.rest
        phones, websites, office_rest = contacts(item, "Office", key, office_rest)
        if not self._offices.add(row, phones, websites):
            office_rest = _without_moments(to_json(item.element))
        return rest if office_rest is None else add_rest(rest, "Office", office_rest)


def _entries(items: Iterable[Item], name: str) -> tuple[list[Row] | None, list[str] | None]:
    """Items as one JSON list, and the names in it."""
    entries, names = [], []
    for item in items:
        entry = {column: value for column, value in item.row.items() if value is not None}
        entries.append({**entry, **(item.rest or {})})
        if name in entry:
            names.append(entry[name])
    return entries or None, names or None


def _holds(rest: Rest | None, name: str) -> bool:
    return any(key.lower() == name.lower() for key in rest or ())


def _kept(rest: Rest | None, *names: str) -> str | None:
    """A text that a converter left in the rest, wherever the payload's case put it."""
    found: Any = rest
    for name in names:
        if not isinstance(found, dict):
            return None
        found = next((value for key, value in found.items() if key.lower() == name.lower()), None)
    return found if isinstance(found, str) else None


def _agree_on_unit(room: Row) -> None:
    """RESO has one unit for both sides of a room: the length's. The texts stay as they came."""
    if room["room_length"] is None or room["room_width"] is None:
        return
    texts = (_kept(room["source_fields"], name) for name in ("Length", "Width"))
    length, width = (None if text is None else values.measure(text)[1] for text in texts)
    if length is not None and width is not None and length != width:
        room["room_length_width_units"] = length
        room["room_width"] = values.converted(room["room_width"], width, length)


def _photo_token(row: Row) -> str:
    url = row["media_url"] or row["medium_url"] or row["thumbnail_url"]
    return change_token(url, row["change_token"], row["unreliable_last_updated"])


def _property_type(row: Row) -> str | None:
    for_sale, for_lease = mapping.PROPERTY_TYPES.get(row["property_sub_type"], (None, None))
    return for_lease if row["transaction_type"] in mapping.LEASE_TRANSACTIONS else for_sale


def _unparsed_address(row: Row) -> str | None:
    """Street, city, province and postal code in one line. DDF: ``|`` separates lines."""
    street = row["street_address"]
    if street is None:
        names = ("street_dir_prefix", "street_name", "street_suffix", "street_dir_suffix")
        words = [row["street_number"], *(row[name] for name in names)]
        street = " ".join(word for word in words if word)
        if row["unit_number"] and street:
            street = f"{row['unit_number']} - {street}"
    else:
        street = ", ".join(line.strip() for line in street.split("|") if line.strip())
    region = " ".join(word for word in (row["state_or_province"], row["postal_code"]) if word)
    return ", ".join(part for part in (street, row["city"], region) if part) or None


def _without_offices(agent: Any) -> Any:
    """An agent's dictionary without its offices, which are kept on their own."""
    if not isinstance(agent, dict):
        return agent
    return {name: value for name, value in agent.items() if name.lower() != "office"}


_MOMENTS = frozenset({"@lastupdated", "lastupdated", "logolastupdated"})


def _without_moments(office: Any) -> Any:
    """An office's dictionary without the dates that follow the listing's."""
    if isinstance(office, list):
        return [_without_moments(one) for one in office]
    if not isinstance(office, dict):
        return office
    kept: Rest = {}
    for name, value in office.items():
        if name.lower() == "logo":
            kept[name] = _without_moments(value)
        elif name.lower() not in _MOMENTS:
            kept[name] = value
        elif more := _without_texts(value):
            kept[name] = more
    return kept


def _without_texts(moments: Any) -> list[Any]:
    """What dates hold beside their text: attributes and elements that nobody expects there."""
    several = moments if isinstance(moments, list) else [moments]
    return [one for one in several if not isinstance(one, str)]
