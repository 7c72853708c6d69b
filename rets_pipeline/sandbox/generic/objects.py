"""The GetObject transaction of the generic server: photos, single and multipart.

What belongs here: which photos a listing has, their bytes, and the form of a multipart answer. What
does not: HTTP.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any

from PIL import Image, ImageDraw

from rets_pipeline.sandbox.answers import Answer, Raw
from rets_pipeline.sandbox.chance import chance
from rets_pipeline.sandbox.generic.listings import Listings

BOUNDARY = "generic-rets-boundary"
#: an object type and the size of its images
TYPES = {"Photo": (96, 72), "Thumbnail": (24, 18)}
_NO_OBJECT = b'<RETS ReplyCode="20403" ReplyText="No Object Found" />\r\n'
_NO_BODY = b'<RETS ReplyCode="0" ReplyText="Operation Successful" />\r\n'
_IDS = re.compile(r"(\d{1,18})((?::(?:\d{1,5}|\*))*)")
_PHOTO_PATH = re.compile(r"/rets/photos/(\d{1,18})/(Photo|Thumbnail)/(\d{1,5})\.jpg")


class ObjectError(Exception):
    """A request that is refused.

    Args:
        code: the RETS reply code.
        text: its text.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


@dataclass(slots=True)
class Part:
    """One part of a multipart answer.

    Attributes:
        headers: names and values, in order.
        body: its bytes.
        gap: between them: the empty line.
    """

    headers: list[tuple[str, str]]
    body: bytes
    gap: bytes = b"\r\n"

    def set(self, name: str, value: str) -> None:
        """Give a header another value; it is added when it is not there."""
        if not any(known == name for known, _ in self.headers):
            self.headers.append((name, value))
        self.headers = [(known, value if known == name else old) for known, old in self.headers]

    def drop(self, *names: str) -> None:
        """Take headers away."""
        self.headers = [pair for pair in self.headers if pair[0] not in names]


@dataclass(slots=True)
class Multipart:
    """The parts of an answer.

    Attributes:
        parts: in order.
        boundary: between them.
        preamble: before the first boundary.
        opening: the line end before the first boundary.
        newline: the line ends of headers and boundaries.
        closed: there is a closing boundary.
        epilogue: behind it.
    """

    parts: list[Part] = field(default_factory=list)
    boundary: str = BOUNDARY
    preamble: bytes = b""
    opening: bytes = b"\r\n"
    newline: bytes = b"\r\n"
    closed: bool = True
    epilogue: bytes = b"\r\n"

    def pieces(self) -> Iterator[bytes]:
        """The body as it is sent."""
        line, mark = self.newline, f"--{self.boundary}".encode()
        yield self.preamble + self.opening
        for number, part in enumerate(self.parts):
            yield (line if number else b"") + mark + line
            for name, value in part.headers:
                yield f"{name}: {value}".encode() + line
            yield part.gap if part.gap != b"\r\n" else line
            yield part.body
        if self.closed:
            yield (line if self.parts else b"") + mark + b"--" + self.epilogue


def answer(listings: Listings, arguments: Mapping[str, str], base_url: str) -> Answer:
    """The answer to GetObject (RETS 1.7.2, section 5).

    Args:
        listings: whose photos are asked for.
        arguments: of the request, names in lower case.
        base_url: scheme, host and port that photos are served from.

    Raises:
        ObjectError: with the reply code.
    """
    if arguments.get("resource") != "Property":
        raise ObjectError(20400, "Invalid Resource")
    kind = arguments.get("type", "")
    if kind not in TYPES:
        raise ObjectError(20401, "Invalid Type")
    wanted = _wanted(listings, arguments.get("id", ""))
    by_location = arguments.get("location") == "1"
    parts = [
        _part(listings, kind, key, number, base_url if by_location else None)
        for key, number in wanted
    ]
    if len(wanted) == 1 and "*" not in arguments["id"]:
        return _single(parts[0])
    if not parts:
        raise ObjectError(20403, "No Object Found")
    head = {"MIME-Version": "1.0", "Content-Type": f'multipart/parallel; boundary="{BOUNDARY}"'}
    return Answer(Multipart(parts), headers=head)


def photo(listings: Listings, key: int, kind: str, number: int) -> bytes | None:
    """The bytes of a photo, or None when there is none."""
    row = listings.number(key)
    if row is None or not 1 <= number <= listings.photos(row):
        return None
    return _draw(listings.seed, key, kind, number)


def photo_at(listings: Listings, path: str) -> bytes | None:
    """The bytes of the photo whose Location that is."""
    match = _PHOTO_PATH.fullmatch(path)
    return photo(listings, int(match[1]), match[2], int(match[3])) if match else None


def truth(listings: Listings, key: int) -> list[dict[str, Any]]:
    """The photos of a listing, for tests to compare with."""
    row = listings.number(key)
    numbers = range(1, 0 if row is None else listings.photos(row) + 1)
    return [
        {
            "object_id": number,
            "description": describe(key, number),
            "preferred": number == preferred(listings, key),
            "sha256": {
                kind: sha256(_draw(listings.seed, key, kind, number)).hexdigest() for kind in TYPES
            },
        }
        for number in numbers
    ]


def preferred(listings: Listings, key: int) -> int:
    """The number of the photo that a request for 0 means; 0 when there is none."""
    row = listings.number(key)
    return 0 if row is None else min(2, listings.photos(row))


def describe(key: int, number: int) -> str:
    """The Content-Description of a photo."""
    return f"Vue {number} de {key}, cote jardin"


def _wanted(listings: Listings, text: str) -> list[tuple[int, int]]:
    """Keys and object numbers that an ID argument names."""
    found: list[tuple[int, int]] = []
    for item in text.split(","):
        match = _IDS.fullmatch(item.strip())
        if match is None:
            raise ObjectError(20402, "Invalid Identifier")
        key = int(match[1])
        for name in match[2].split(":")[1:] or ["0"]:
            if name == "*":
                row = listings.number(key)
                many = 0 if row is None else listings.photos(row)
                found.extend((key, number) for number in range(1, many + 1))
            else:
                found.append((key, int(name) or preferred(listings, key)))
    return found


def _part(listings: Listings, kind: str, key: int, number: int, base_url: str | None) -> Part:
    body = photo(listings, key, kind, number)
    ids = [("Content-ID", str(key)), ("Object-ID", str(number))]
    if body is None:
        return Part([("Content-Type", "text/xml"), *ids, ("RETS-Error", "1")], _NO_OBJECT)
    head = [("Content-Type", "image/jpeg" if base_url is None else "text/xml"), *ids]
    head.append(("Content-Description", describe(key, number)))
    if number == preferred(listings, key):
        head.append(("Preferred", "1"))
    if base_url is None:
        return Part([*head, ("Content-Length", str(len(body)))], body)
    head.append(("Location", f"{base_url}/rets/photos/{key}/{kind}/{number}.jpg"))
    return Part(head, _NO_BODY)


def _single(part: Part) -> Answer:
    headers = dict(part.headers)
    if "RETS-Error" in headers:
        raise ObjectError(20403, "No Object Found")
    headers.pop("Content-Length", None)
    return Answer(Raw([part.body]), headers={"MIME-Version": "1.0", **headers})


@lru_cache(maxsize=5_000)
def _draw(seed: int, key: int, kind: str, number: int) -> bytes:
    random = chance(seed, "generic photo", key, number)
    width, height = TYPES[kind]
    image = Image.new("RGB", (width, height), tuple(random.randbytes(3)))
    pen = ImageDraw.Draw(image)
    for _ in range(3):
        left, top = random.randrange(width - 8), random.randrange(height - 8)
        box = (left, top, left + 8, top + 8)
        pen.rectangle(box, fill=tuple(random.randbytes(3)))
    written = io.BytesIO()
    # Line ends and something like a boundary stand in the bytes, as they may in any file.
    comment = f"{key}:{number}:{kind}\r\n--{BOUNDARY[:7]}\r\n"
    image.save(written, "JPEG", quality=70, comment=comment)
    return written.getvalue()
