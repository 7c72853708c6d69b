"""Pictures and tables in metadata: a preview of listings, and a map of new ones.

What belongs here: rows and points as Markdown and as a PNG. What does not: which ones are shown
(``sync.shown``).

All of it becomes part of the event log, once a run: so it is small, and nothing in it is personal.
Photos are addresses on the server, which the reader's browser asks: the log keeps no picture of a
home, and when a listing is gone its photo is gone from the preview, too.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from PIL import Image, ImageDraw, ImageFont

from rets_pipeline.geocoding.provinces import Box
from rets_pipeline.sync.shown import Area, Map
from rets_pipeline.warehouse.preview import Point, Preview

_WIDTH, _HEIGHT, _MARGIN = 600, 420, 24
_LONGEST_CELL = 60
#: the colours of the map, by what they are for
_PAPER, _GRID, _BORDER, _LABEL, _OLD, _NEW, _RIM = range(7)
_COLOURS = (
    (250, 251, 252), (228, 232, 238), (164, 174, 190), (96, 108, 128), (150, 164, 184),
    (214, 40, 57), (255, 255, 255),
)  # fmt: skip


def table(rows: Sequence[dict[str, object]]) -> str:
    """Rows with equal names as a table in Markdown."""
    if not rows:
        return "nothing"
    names = list(rows[0])
    cells = [[row.get(name) for name in names] for row in rows]
    lines: list[Sequence[object]] = [names, ["---"] * len(names), *cells]
    return "\n".join(
        "| " + " | ".join(_cell(value, raw=number == 1) for value in line) + " |"
        for number, line in enumerate(lines)
    )


def preview(listings: Sequence[Preview]) -> str:
    """Listings with their first photos, as a table in Markdown."""
    if not listings:
        return "no listings yet"
    # Dagster shows up to 1,000 characters at once, and hides more behind a click.
    lines = [
        "| photo | listing | type | place | price | beds | baths | photos |",
        "|---|---|---|---|---:|---:|---:|---:|",
    ]
    for one in listings:
        price = f"${one.list_price:,.0f}" if one.list_price is not None else None
        place = ", ".join(part for part in (one.city, one.state_or_province) if part)
        cells = (
            one.listing_key, one.property_sub_type, place, price, one.bedrooms_total,
            one.bathrooms_total_integer, one.photos_count,
        )  # fmt: skip
        lines.append(
            f"| {_photo(one.thumbnail_url)} | " + " | ".join(_cell(cell) for cell in cells) + " |"
        )
    return "\n".join(lines)


def _photo(url: str | None) -> str:
    """An image in Markdown; nothing for an address that is none of the web's."""
    if url is None or urlsplit(url).scheme not in ("http", "https"):
        return ""
    return f"![]({quote(url, safe=':/?&=%#,;@+~')})"


def _cell(value: object, *, raw: bool = False) -> str:
    """A text that stays in its cell and means nothing else there."""
    text = " ".join(str("" if value is None else value).split())
    if raw:
        return text
    if len(text) > _LONGEST_CELL:
        text = text[: _LONGEST_CELL - 1] + "…"
    return "".join(f"\\{letter}" if letter in "\\|`*_[]<>!#~" else letter for letter in text)


def map_of(found: Map) -> str:
    """The new listings on a map, as an image in Markdown."""
    if not found.new:
        return "no new coordinates"
    data = base64.b64encode(_png(found)).decode()
    places = ", ".join(area.name for area in found.areas) or "elsewhere"
    return (
        f"{len(found.new):,} of {found.listings:,} new listings (red, among others in grey), in "
        f"{places}\n\n![map](data:image/png;base64,{data})"
    )


def _png(found: Map) -> bytes:
    image = Image.new("P", (_WIDTH, _HEIGHT), _PAPER)
    image.putpalette([part for colour in _COLOURS for part in colour])
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1"  # no shades: the palette has none
    frame = _Frame(found.areas, found.new)
    frame.draw_grid(draw)
    for area in found.areas:
        _draw_area(draw, frame, area)
    for point in found.others:
        x, y = frame.place(point.latitude, point.longitude)
        draw.rectangle((x - 1, y - 1, x + 1, y + 1), fill=_OLD)
    for point in found.new:
        x, y = frame.place(point.latitude, point.longitude)
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=_NEW, outline=_RIM)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, bits=3)
    return buffer.getvalue()


def _draw_area(draw: ImageDraw.ImageDraw, frame: _Frame, area: Area) -> None:
    left, top = frame.place(area.bounds.north, area.bounds.west)
    right, bottom = frame.place(area.bounds.south, area.bounds.east)
    draw.rectangle((left, top, right, bottom), outline=_BORDER)
    draw.text((left + 4, top + 2), area.name, _LABEL, font=ImageFont.load_default(12))


class _Frame:
    """A part of the earth on the picture, as wide as it is high in its middle."""

    def __init__(self, areas: Sequence[Area], points: Sequence[Point]) -> None:
        boxes = [area.bounds for area in areas] or [
            Box(
                min(point.latitude for point in points) - 1,
                max(point.latitude for point in points) + 1,
                min(point.longitude for point in points) - 1,
                max(point.longitude for point in points) + 1,
            )
        ]
        souths, norths, wests, easts = zip(*boxes, strict=True)
        self.south, self.north, self.west, self.east = (
            min(souths), max(norths), min(wests), max(easts),
        )  # fmt: skip
        self._narrow = math.cos(math.radians((self.south + self.north) / 2))
        self._scale = min(
            (_WIDTH - 2 * _MARGIN) / ((self.east - self.west) * self._narrow),
            (_HEIGHT - 2 * _MARGIN) / (self.north - self.south),
        )

    def place(self, latitude: float, longitude: float) -> tuple[float, float]:
        """Where a point is on the picture."""
        middle_x, middle_y = (self.west + self.east) / 2, (self.south + self.north) / 2
        return (
            _WIDTH / 2 + (longitude - middle_x) * self._narrow * self._scale,
            _HEIGHT / 2 - (latitude - middle_y) * self._scale,
        )

    def draw_grid(self, draw: ImageDraw.ImageDraw) -> None:
        """Lines of whole degrees, some five across."""
        span = self.east - self.west
        step = next(step for step in (1, 2, 5, 10, 20, 60) if span / step <= 12 or step == 60)
        font = ImageFont.load_default(10)
        for degree in range(-180, 181, step):
            x, _ = self.place(self.south, degree)
            if 0 < x < _WIDTH:
                draw.line((x, 0, x, _HEIGHT), _GRID)
                draw.text((x + 2, _HEIGHT - 14), _degrees(degree, "EW"), _BORDER, font=font)
        for degree in range(-90, 91, step):
            _, y = self.place(degree, self.west)
            if 0 < y < _HEIGHT - 14:
                draw.line((0, y, _WIDTH, y), _GRID)
                draw.text((2, y - 13), _degrees(degree, "NS"), _BORDER, font=font)


def _degrees(number: int, sides: str) -> str:
    return f"{abs(number)}° {sides[number < 0]}" if number else "0°"
