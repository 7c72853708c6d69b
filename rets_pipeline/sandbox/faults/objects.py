"""Faults of objects: parts, boundaries, locations.

What belongs here: sections 23 and 24 of the catalogue. What does not: which objects there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rets_pipeline.sandbox.answers import Answer, plain, rets
from rets_pipeline.sandbox.faults.catalogue import (
    GENERIC_ONLY,
    Turn,
    changes,
    replaces,
    spoils_answer,
    spoils_content,
)
from rets_pipeline.sandbox.generic.objects import BOUNDARY, Multipart, Part

_OBJECT = ("GetObject",)


def _each(multipart: Multipart, change: Callable[[Part], None]) -> None:
    for part in multipart.parts:
        change(part)


def _content_type(answer: Answer, value: str) -> None:
    if answer.headers.get("Content-Type", "").startswith("multipart/"):
        answer.headers["Content-Type"] = value


# --- 23: boundaries -------------------------------------------------------------------------------


@spoils_answer(23, _OBJECT, GENERIC_ONLY)
def boundary_unquoted(answer: Answer, _: Turn) -> None:
    """The boundary's name has no quotes."""
    _content_type(answer, f"multipart/parallel; boundary={BOUNDARY}")


@spoils_answer(23, _OBJECT, GENERIC_ONLY)
def boundary_in_single_quotes(answer: Answer, _: Turn) -> None:
    """The boundary's name has single quotes and a parameter behind it."""
    _content_type(answer, f"multipart/parallel;BOUNDARY='{BOUNDARY}'; charset=utf-8")


@spoils_answer(23, _OBJECT, GENERIC_ONLY)
def boundary_missing(answer: Answer, _: Turn) -> None:
    """The Content-Type names no boundary."""
    _content_type(answer, "multipart/parallel")


@spoils_answer(23, _OBJECT, GENERIC_ONLY)
def boundary_with_dashes(answer: Answer, _: Turn) -> None:
    """The boundary is named with its two dashes."""
    _content_type(answer, f'multipart/parallel; boundary="--{BOUNDARY}"')


@spoils_answer(23, _OBJECT, GENERIC_ONLY, subtype="mixed")
def multipart_subtype(answer: Answer, turn: Turn) -> None:
    """The answer is multipart/mixed."""
    _content_type(answer, f'Multipart/{turn["subtype"]}; boundary="{BOUNDARY}"')


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def opening_line_end_missing(multipart: Multipart, _: Turn) -> None:
    """No line end stands before the first boundary."""
    multipart.opening = b""


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def preamble(multipart: Multipart, _: Turn) -> None:
    """A text stands before the first boundary."""
    multipart.preamble = b"This is a message with several parts."


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def epilogue(multipart: Multipart, _: Turn) -> None:
    """A text stands behind the last boundary."""
    multipart.epilogue = b"\r\nGenerated in 12 ms\r\n\x00"


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def closing_boundary_missing(multipart: Multipart, _: Turn) -> None:
    """There is no closing boundary."""
    multipart.closed = False


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def line_feeds_alone(multipart: Multipart, _: Turn) -> None:
    """Lines end with a line feed alone."""
    multipart.newline = multipart.opening = b"\n"


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def multipart_empty(multipart: Multipart, _: Turn) -> None:
    """There are no parts at all."""
    multipart.parts = []


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def multipart_of_one(multipart: Multipart, _: Turn) -> None:
    """There is only one part."""
    del multipart.parts[1:]


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def part_missing(multipart: Multipart, _: Turn) -> None:
    """A part in the middle is missing."""
    del multipart.parts[len(multipart.parts) // 2]


# --- 23: parts ------------------------------------------------------------------------------------


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def empty_line_missing(multipart: Multipart, _: Turn) -> None:
    """No empty line stands between headers and body."""
    _each(multipart, lambda part: setattr(part, "gap", b""))


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def location_without_body(multipart: Multipart, _: Turn) -> None:
    """Parts with a Location have no body, nor its line end."""
    for part in multipart.parts:
        if any(name == "Location" for name, _value in part.headers):
            part.body, part.gap = b"", b""


@spoils_content(
    Multipart,
    23,
    _OBJECT,
    GENERIC_ONLY,
)
def error_in_headers(multipart: Multipart, _: Turn) -> None:
    """An error stands among the headers, without an empty line or a body."""
    part = multipart.parts[0]
    part.headers = [("Content-Type", "text/xml"), *part.headers[1:3]]
    part.gap, part.body = b'<RETS ReplyCode="20403" ReplyText="No Object Found" />', b""


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY, code=20403)
def error_part(multipart: Multipart, turn: Turn) -> None:
    """One part is an error; the others are good."""
    part = multipart.parts[0]
    part.headers = [("Content-Type", "text/xml"), *part.headers[1:3]]
    part.body = f'<RETS ReplyCode="{turn["code"]}" ReplyText="Unavailable" />'.encode()


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY, code=20403)
def error_part_alone(multipart: Multipart, turn: Turn) -> None:
    """The only part is an error in XML."""
    error_part(multipart, turn)
    del multipart.parts[1:]


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def ids_missing(multipart: Multipart, _: Turn) -> None:
    """Content-ID and Object-ID are missing."""
    _each(multipart, lambda part: part.drop("Content-ID", "Object-ID"))


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def content_id_wrong(multipart: Multipart, _: Turn) -> None:
    """Content-ID is a wrong one."""
    _each(multipart, lambda part: part.set("Content-ID", "1"))


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def part_type_missing(multipart: Multipart, _: Turn) -> None:
    """A part's Content-Type is missing."""
    _each(multipart, lambda part: part.drop("Content-Type"))


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def headers_lower_case(multipart: Multipart, _: Turn) -> None:
    """Names of headers are in lower case."""
    for part in multipart.parts:
        part.headers = [(name.lower(), value) for name, value in part.headers]


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def description_renamed(multipart: Multipart, _: Turn) -> None:
    """The description's header is called Description."""
    for part in multipart.parts:
        part.headers = [
            (name.replace("Content-Desc", "Desc"), value) for name, value in part.headers
        ]


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY, by=-7)
def part_length_wrong(multipart: Multipart, turn: Turn) -> None:
    """A part's Content-Length is wrong."""
    _each(multipart, lambda part: part.set("Content-Length", str(len(part.body) + turn["by"])))


@spoils_content(Multipart, 23, _OBJECT, GENERIC_ONLY)
def part_length_missing(multipart: Multipart, _: Turn) -> None:
    """Parts have no Content-Length."""
    _each(multipart, lambda part: part.drop("Content-Length"))


# --- 23: images -----------------------------------------------------------------------------------


def _images(answer: Answer, change: Callable[[bytes], bytes]) -> None:
    if isinstance(answer.content, Multipart):
        for part in answer.content.parts:
            part.body = change(part.body)
            if any(name == "Content-Length" for name, _value in part.headers):
                part.set("Content-Length", str(len(part.body)))
    elif answer.headers.get("Content-Type", "").startswith("image/"):
        answer.write(change(answer.body()))


_IMAGES = ("GetObject", "Image")


@spoils_answer(23, _IMAGES)
def image_with_line_ends(answer: Answer, _: Turn) -> None:
    """An image ends with line ends of its own."""
    _images(answer, lambda body: body + b"\r\n\r\n")


@spoils_answer(23, _IMAGES)
def boundary_in_image(answer: Answer, _: Turn) -> None:
    """The boundary's beginning stands within an image."""
    _images(answer, lambda body: body + f"\r\n--{BOUNDARY[:-1]}\r\n\r\n--".encode())


@spoils_answer(23, _IMAGES)
def image_cut(answer: Answer, _: Turn) -> None:
    """An image is cut in half."""
    _images(answer, lambda body: body[: len(body) // 2])


@spoils_answer(23, _IMAGES)
def image_is_text(answer: Answer, _: Turn) -> None:
    """An image is no image: a text of some bytes."""
    _images(answer, lambda _body: b"Object reference not set to an instance of an object.")


@spoils_answer(23, _IMAGES)
def image_empty(answer: Answer, _: Turn) -> None:
    """An image is empty."""
    _images(answer, lambda _body: b"")


@spoils_answer(23, _IMAGES)
def image_type_wrong(answer: Answer, _: Turn) -> None:
    """An image's type is another than its Content-Type says."""
    _images(answer, lambda _body: _PNG)


_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c63f8ffff3f0005fe02fea735813d0000000049454e44ae426082"
)

# --- 24: locations and media ----------------------------------------------------------------------


@replaces(24, _OBJECT)
def location_disabled(turn: Turn) -> Answer | None:
    """Location=1 is disabled: reply code 20413."""
    if turn.call.arguments.get("location") != "1":
        return None
    return rets("", 20413, "Location=1 is disabled")


def _locations(answer: Answer, change: Callable[[str], str]) -> None:
    if isinstance(answer.content, Multipart):
        for part in answer.content.parts:
            part.headers = [
                (name, change(value) if name == "Location" else value)
                for name, value in part.headers
            ]
    elif "Location" in answer.headers:
        answer.headers["Location"] = change(answer.headers["Location"])


@spoils_answer(24, _OBJECT, GENERIC_ONLY)
def location_without_scheme(answer: Answer, _: Turn) -> None:
    """Locations begin with two slashes."""
    _locations(answer, lambda url: url.removeprefix("http:"))


@spoils_answer(24, _OBJECT, GENERIC_ONLY)
def location_relative(answer: Answer, _: Turn) -> None:
    """Locations are relative."""
    _locations(answer, lambda url: re.sub(r"^https?://[^/]*", "", url))


@spoils_answer(24, _OBJECT, GENERIC_ONLY)
def location_empty(answer: Answer, _: Turn) -> None:
    """Locations are empty."""
    _locations(answer, lambda _url: "")


@spoils_answer(24, _OBJECT, GENERIC_ONLY)
def location_unsafe(answer: Answer, _: Turn) -> None:
    """Locations lead to something else than http."""
    _locations(answer, lambda _url: "file:///etc/passwd")


@replaces(24, _IMAGES)
def accept_refused(turn: Turn) -> Answer | None:
    """`Accept: */*` is refused with HTTP 406; an image type is wanted."""
    if "image/" in turn.call.request.headers.get("accept", ""):
        return None
    return plain("Not Acceptable", 406)


@replaces(24, _OBJECT, type="Thumbnail")
def object_type_missing(turn: Turn) -> Answer | None:
    """An object type does not exist: reply code 20401."""
    wanted = turn.call.arguments.get("type") == turn["type"]
    return rets("", 20401, "Unknown Type") if wanted else None


@replaces(24, _OBJECT, code=20402)
def several_ids_refused(turn: Turn) -> Answer | None:
    """Several ids in one call are refused."""
    several = "," in turn.call.arguments.get("id", "")
    return rets("", turn["code"], "Invalid Identifier") if several else None


@replaces(24, _OBJECT)
def several_ids_fail(turn: Turn) -> Answer | None:
    """Several ids in one call make the server fail with HTTP 500."""
    several = "," in turn.call.arguments.get("id", "")
    return plain("Runtime Error", 500) if several else None


@replaces(24, _OBJECT)
def object_wildcard_refused(turn: Turn) -> Answer | None:
    """A `*` for all objects is refused: reply code 20402."""
    wanted = "*" in turn.call.arguments.get("id", "")
    return rets("", 20402, "Invalid Identifier") if wanted else None


@replaces(24, _OBJECT)
def object_missing(_: Turn) -> Answer:
    """There is no such object: reply code 20403."""
    return rets("", 20403, "No Object Found")


@spoils_answer(24, _OBJECT, GENERIC_ONLY)
def single_ids_missing(answer: Answer, _: Turn) -> None:
    """A single object comes without its ids and description."""
    for name in ("Content-ID", "Object-ID", "Content-Description", "Preferred", "MIME-Version"):
        answer.headers.pop(name, None)


@changes(24, _OBJECT)
def location_ignored(turn: Turn) -> None:
    """Location=1 is ignored: the object itself comes."""
    turn.call.arguments.pop("location", None)
