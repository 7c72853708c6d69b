"""Objects: parts, boundaries, images, locations."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import requests

from rets_pipeline.rets import (
    DataBroken,
    QueryRefused,
    RetsError,
    RetsObject,
    SplitRequest,
    Truncated,
)
from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline_tests.patience import PATIENCE

from .bench import KEY, Bench, proves

Photos = dict[str, str]


@pytest.fixture(scope="module")
def photos(sandbox: RunningSandbox) -> Photos:
    """The hashes of the listing's photos, by object id."""
    url = f"{sandbox.url}/_sandbox/generic/truth?keys={KEY}"
    found = requests.get(url, timeout=PATIENCE).json()["photos"][str(KEY)]
    return {str(photo["object_id"]): photo["sha256"]["Photo"] for photo in found}


def get(bench: Bench, ids: Any = "*", **settings: Any) -> list[RetsObject]:
    with bench.session().get_object("Property", "Photo", {str(KEY): ids}, **settings) as objects:
        return list(objects)


def sums(objects: list[RetsObject]) -> list[str]:
    return [hashlib.sha256(found.data).hexdigest() for found in objects]


FORMS = [
    proves("boundary_unquoted", "Takes the boundary with quotes or without."),
    proves("boundary_in_single_quotes", "Takes the boundary with any quotes."),
    proves("boundary_missing", "Finds the boundary in the body."),
    proves("boundary_with_dashes", "Finds the boundary in the body."),
    proves("multipart_subtype", "Takes any multipart."),
    proves("opening_line_end_missing", "Needs none."),
    proves("preamble", "Skips it."),
    proves("epilogue", "Skips it."),
    proves("closing_boundary_missing", "Delivers all parts, and tells that it did not come."),
    proves("line_feeds_alone", "Takes any line ends."),
    proves("part_type_missing", "Goes by the bytes."),
    proves("headers_lower_case", "Knows headers in any case."),
    proves("description_renamed", "Knows both names."),
    proves("part_length_wrong", "Goes by the boundaries."),
    proves("part_length_missing", "Goes by the boundaries."),
    proves("boundary_in_image", "Takes for a boundary only the whole of it."),
    proves("image_with_line_ends", "Keeps every byte of it."),
    proves("gzip_unasked", "Unpacks it."),
    proves("location_ignored", "Takes the bytes, if they come instead of an address."),
]


@pytest.mark.parametrize("name", FORMS)
def test_all_photos_come_byte_for_byte(bench: Bench, photos: Photos, name: str) -> None:
    bench.session().login()
    bench.switch_on(name, transaction="GetObject")
    found = get(bench, location=name == "location_ignored")
    assert [item.error for item in found] == [None] * 5
    assert [(item.content_id, item.object_id) for item in found] == [
        (str(KEY), number) for number in photos
    ]
    if name in ("boundary_in_image", "image_with_line_ends"):
        added = b"\r\n\r\n" if "line" in name else b"\r\n--generic-rets-boundar\r\n\r\n--"
        assert all(item.data.endswith(added) for item in found)
        return
    assert sums(found) == list(photos.values())
    assert [item.description for item in found] == [
        f"Vue {number} de {KEY}, cote jardin" for number in photos
    ]
    assert [item.preferred for item in found] == [False, True, False, False, False]


@pytest.mark.fault("closing_boundary_missing", does="The answer's `closed` is false.")
@pytest.mark.parametrize("name", ["closing_boundary_missing", "epilogue"])
def test_whether_the_end_came(bench: Bench, name: str) -> None:
    bench.switch_on(name)
    with bench.session().get_object("Property", "Photo", {str(KEY): "*"}) as objects:
        assert len(list(objects)) == 5
    assert objects.closed is (name == "epilogue")


@pytest.mark.fault(
    "empty_line_missing", does="Finds where the headers end, or says what is broken."
)
def test_no_line_between_headers_and_body(bench: Bench, photos: Photos) -> None:
    bench.switch_on("empty_line_missing")
    found = get(bench)
    assert [item.object_id for item in found] == list(photos)
    assert sums(found) == list(photos.values())


@pytest.mark.fault(
    "ids_missing", does="Takes what the request leaves no doubt about, else nothing."
)
def test_ids_that_are_missing(bench: Bench, photos: Photos) -> None:
    bench.switch_on("ids_missing")
    found = get(bench)
    assert sums(found) == list(photos.values())
    assert {item.content_id for item in found} == {str(KEY)}
    assert {item.object_id for item in found} == {None}


@pytest.mark.fault("content_id_wrong", does="Keeps it, and marks the object as not asked for.")
def test_ids_that_are_wrong(bench: Bench, photos: Photos) -> None:
    bench.switch_on("content_id_wrong")
    found = get(bench)
    assert sums(found) == list(photos.values())
    assert not any(item.requested for item in found)


@pytest.mark.fault("single_ids_missing", does="Takes them from the request.")
def test_a_single_object_without_ids(bench: Bench, photos: Photos) -> None:
    bench.switch_on("single_ids_missing")
    (found,) = get(bench, 3)
    assert (found.content_id, found.object_id) == (str(KEY), "3")
    assert sums([found]) == [photos["3"]]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        proves("error_part", "Delivers an error for that object, and the others.", 20403),
        proves(
            "error_part", "Delivers an error for that object, and the others.", 20409, case="20409"
        ),
        proves("error_in_headers", "Finds the error among the headers.", 20403),
    ],
)
def test_an_error_for_one_object(bench: Bench, photos: Photos, name: str, code: int) -> None:
    bench.switch_on(name, **({"code": code} if name == "error_part" else {}))
    first, *others = get(bench)
    assert first.error is not None
    assert first.error.reply_code == code
    assert first.absent is (code == 20403)
    assert first.data == b""
    assert sums(others) == list(photos.values())[1:]


@pytest.mark.parametrize(
    "name",
    [
        proves("multipart_empty", "Nothing is no error."),
        proves("object_missing", "Nothing is no error."),
        proves("error_part_alone", "An error for that object alone."),
    ],
)
def test_nothing_comes(bench: Bench, name: str) -> None:
    bench.switch_on(name)
    assert [item for item in get(bench) if not item.absent] == []


@pytest.mark.parametrize(
    "name",
    [
        proves("multipart_of_one", "Delivers what came; the caller sees which ids are there."),
        proves("part_missing", "Delivers what came; the caller sees which ids are there."),
    ],
)
def test_fewer_objects(bench: Bench, photos: Photos, name: str) -> None:
    bench.switch_on(name)
    found = get(bench)
    assert all(photos[str(item.object_id)] == sums([item])[0] for item in found)
    assert len(found) == (1 if "one" in name else 4)


@pytest.mark.parametrize("ids", ["*", 1])
@pytest.mark.parametrize(
    "name",
    [
        proves("image_cut", "An error for that object, when images are to be verified."),
        proves("image_is_text", "An error for that object, when images are to be verified."),
        proves("image_empty", "An error for that object, when images are to be verified."),
    ],
)
def test_images_that_are_none(bench: Bench, name: str, ids: Any) -> None:
    bench.session().login()
    bench.switch_on(name, transaction="GetObject")
    try:
        found = get(bench, ids, verify_images=True)
    except DataBroken:
        assert ids == 1
        return
    assert found
    assert all(isinstance(item.error, RetsError) for item in found)


@pytest.mark.fault("image_type_wrong", does="Goes by the bytes: it is an image.")
def test_an_image_of_another_type(bench: Bench) -> None:
    bench.switch_on("image_type_wrong", transaction="GetObject")
    found = get(bench, verify_images=True)
    assert [item.error for item in found] == [None] * 5


# Locations


@pytest.mark.parametrize(
    "name",
    [
        proves("location_without_scheme", "Resolves it by the address of the request."),
        proves("location_relative", "Resolves it by the address of the request."),
        proves("location_without_body", "Needs no body."),
    ],
)
@pytest.mark.parametrize("ids", ["*", 2])
def test_locations(bench: Bench, photos: Photos, name: str, ids: Any) -> None:
    bench.switch_on(name)
    found = get(bench, ids, location=True)
    wanted = {number: value for number, value in photos.items() if ids == "*" or number == str(ids)}
    assert [item.object_id for item in found] == list(wanted)
    for item in found:
        assert item.error is None
        body = requests.get(str(item.location), timeout=PATIENCE).content
        assert hashlib.sha256(body).hexdigest() == wanted[str(item.object_id)]


@pytest.mark.parametrize(
    "name",
    [
        proves("location_empty", "Has no location then, and says so."),
        proves("location_unsafe", "Takes http and https only."),
    ],
)
def test_locations_that_lead_nowhere(bench: Bench, name: str) -> None:
    bench.switch_on(name)
    found = get(bench, location=True)
    assert [item.location for item in found] == [None] * 5
    assert [type(item.error) for item in found] == [DataBroken] * 5


@pytest.mark.parametrize(
    ("name", "kind", "settings"),
    [
        proves("location_disabled", "Says so, for the caller to ask for bytes.", QueryRefused, {}),
        proves("object_wildcard_refused", "Says so.", QueryRefused, {}),
        proves("refused_20410", "Asks to split the request.", SplitRequest, {}),
        proves("html_under_200", "Text is no image.", DataBroken, {}),
        proves("text_under_200", "Text is no image.", DataBroken, {}),
        proves("cut_at_share", "An error, after the whole parts.", Truncated, {"ending": "broken"}),
    ],
)
def test_refused_objects(
    bench: Bench, name: str, kind: type[RetsError], settings: dict[str, Any]
) -> None:
    bench.session().login()
    bench.switch_on(name, transaction="GetObject", **settings)
    with pytest.raises(kind):
        get(bench, location=True)


@pytest.mark.fault("object_type_missing", does="Says that the query is wrong.")
def test_an_object_type_that_the_server_does_not_have(bench: Bench) -> None:
    bench.switch_on("object_type_missing")
    session = bench.session()
    with pytest.raises(QueryRefused) as caught:
        session.get_object("Property", "Thumbnail", {str(KEY): "*"})
    assert caught.value.reply_code == 20401


@pytest.mark.parametrize(
    "name",
    [
        proves("several_ids_refused", "Says so; one listing at a time works."),
        proves("several_ids_fail", "Says so; one listing at a time works."),
    ],
)
def test_several_listings_in_one_call(bench: Bench, photos: Photos, name: str) -> None:
    bench.switch_on(name, times=None)
    several = {str(KEY): "*", str(KEY + 7): "*"}
    session = bench.open(retries=0)
    with pytest.raises(RetsError):
        session.get_object("Property", "Photo", several)
    with session.get_object("Property", "Photo", {str(KEY): "*"}) as objects:
        assert sums(list(objects)) == list(photos.values())


@pytest.mark.fault("accept_refused", does="Names the types that the caller wants (`accept`).")
def test_a_server_that_wants_a_type(bench: Bench, photos: Photos) -> None:
    bench.switch_on("accept_refused", times=None)
    with pytest.raises(RetsError):
        get(bench)
    assert sums(get(bench, accept="image/jpeg")) == list(photos.values())
