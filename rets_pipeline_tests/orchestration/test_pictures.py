"""Previews and maps as people see them, whatever a server wrote into them."""

from __future__ import annotations

import base64
import io
import re
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rets_pipeline.geocoding.provinces import BOXES
from rets_pipeline.orchestration import pictures
from rets_pipeline.sync.shown import Area, Map
from rets_pipeline.warehouse.preview import Point, Preview

_RED = (214, 40, 57)
TORONTO = Point("Ontario", 43.67, -79.39)
OTTAWA = Point("Ontario", 45.42, -75.7)


def listing(**values: object) -> Preview:
    empty = dict.fromkeys(Preview.__dataclass_fields__)
    return Preview(**{**empty, "listing_key": "1", **values})  # type: ignore[arg-type]


def image_of(markdown: str) -> Image.Image:
    data = re.search(r"data:image/png;base64,([A-Za-z0-9+/=]+)\)", markdown)
    assert data is not None
    return Image.open(io.BytesIO(base64.b64decode(data.group(1))))


def cells(row: str) -> list[str]:
    """Of a row in Markdown, as its reader sees them."""
    return [part.strip() for part in re.split(r"(?<!\\)\|", row)[1:-1]]


class TestPreview:
    def test_a_listing(self) -> None:
        shown = pictures.preview(
            [
                listing(
                    property_sub_type="House",
                    city="Ottawa",
                    state_or_province="Ontario",
                    list_price=Decimal("1234567.00"),
                    bedrooms_total=3,
                    photos_count=12,
                    thumbnail_url="https://photos.example/1.jpg?TS=1",
                )
            ]
        )
        assert cells(shown.splitlines()[-1]) == [
            "![](https://photos.example/1.jpg?TS=1)",
            "1",
            "House",
            "Ottawa, Ontario",
            "$1,234,567",
            "3",
            "",
            "12",
        ]

    def test_none(self) -> None:
        assert pictures.preview([]) == "no listings yet"
        assert pictures.table([]) == "nothing"

    def test_only_addresses_of_the_web_are_shown(self) -> None:
        for url in ("javascript:alert(1)", "data:image/png;base64,AA", "/etc/passwd", "file:///x"):
            assert "![" not in pictures.preview([listing(thumbnail_url=url)])
        address = "https://photos.example/a b).jpg"
        assert "(https://photos.example/a%20b%29.jpg)" in pictures.preview(
            [listing(thumbnail_url=address)]
        )

    @given(st.text(max_size=80), st.text(max_size=80))
    def test_no_text_leaves_its_cell_or_means_anything(self, city: str, kind: str) -> None:
        shown = pictures.preview([listing(city=city, property_sub_type=kind)])
        lines = shown.split("\n")
        assert len(lines) == 3
        assert len(cells(lines[2])) == len(cells(lines[0]))
        assert not re.search(r"(?<!\\)[<>\[\]`*_]", lines[2].replace("\\\\", ""))

    @given(st.lists(st.fixed_dictionaries({"what": st.text(), "why": st.text()}), min_size=1))
    def test_a_table_keeps_its_shape(self, rows: list[dict[str, object]]) -> None:
        lines = pictures.table(rows).split("\n")
        assert len(lines) == len(rows) + 2
        assert {len(cells(line)) for line in lines} == {2}


class TestMap:
    def test_new_listings_are_red_where_they_stand(self) -> None:
        area = Area("ON", BOXES["ON"])
        markdown = pictures.map_of(Map([TORONTO], 3, [OTTAWA], [area]))
        assert markdown.startswith("1 of 3 new listings")
        assert "in ON" in markdown
        image = image_of(markdown).convert("RGB")
        red = [
            (x, y)
            for x in range(image.width)
            for y in range(image.height)
            if image.getpixel((x, y)) == _RED
        ]
        assert 10 < len(red) < 60
        x, y = (sum(ends) / len(red) for ends in zip(*red, strict=True))
        west_share = (x - image.width / 2) / image.width
        south_share = (y - image.height / 2) / image.height
        assert west_share > 0.1, "Toronto is in Ontario's east"
        assert south_share > 0.2, "and in its south"

    def test_nothing_new(self) -> None:
        assert pictures.map_of(Map([], 0, [], [])) == "no new coordinates"

    @given(
        st.lists(
            st.builds(Point, st.none(), st.floats(-90, 90), st.floats(-180, 180)),
            min_size=1,
            max_size=5,
        ),
        st.sampled_from([[], ["PE"], ["ON", "NU"], sorted(BOXES)]),
    )
    def test_any_place_can_be_drawn(self, points: list[Point], provinces: list[str]) -> None:
        areas = [Area(name, BOXES[name]) for name in provinces]
        image_of(pictures.map_of(Map(points, len(points), points, areas))).load()

    def test_it_is_small_enough_for_every_run(self) -> None:
        """It becomes a row of Dagster's event log."""
        points = [
            Point(None, 42 + (number * 37 % 1500) / 100, -95 + (number * 91 % 2000) / 100)
            for number in range(3_000)
        ]
        everywhere = [Area(name, box) for name, box in BOXES.items()]
        assert len(pictures.map_of(Map(points[:1_000], 1_000, points, everywhere))) < 40_000
