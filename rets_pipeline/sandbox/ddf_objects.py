"""DDF's GetObject as it was until July 2020, for whoever switches it on: photos of listings.

What belongs here: which photos a request names, and their parts. What does not: the form of a
multipart answer (``generic.objects``), and the images themselves (``photos``).
"""

from __future__ import annotations

from rets_pipeline.sandbox.answers import Answer, Raw
from rets_pipeline.sandbox.exchange import Call
from rets_pipeline.sandbox.generic.objects import BOUNDARY, Multipart, ObjectError, Part
from rets_pipeline.sandbox.listing import Listing, Photo
from rets_pipeline.sandbox.photos import Studio, photo_path
from rets_pipeline.sandbox.world import Sandbox

#: DDF: the types of Property, and our word for their sizes
_SIZES = {"ThumbnailPhoto": "thumbnail", "Photo": "medium", "LargePhoto": "large"}
_NO_OBJECT = b'<RETS ReplyCode="20403" ReplyText="No Object Found" />\r\n'
_NO_BODY = b'<RETS ReplyCode="0" ReplyText="Operation Successful" />\r\n'


def answer(world: Sandbox, studio: Studio, call: Call) -> Answer:
    """The answer to GetObject.

    Raises:
        ObjectError: with the reply code.
    """
    if call.arguments.get("resource") != "Property":
        raise ObjectError(20403, "No Object Found")
    size = _SIZES.get(call.arguments.get("type", "Photo"))
    if size is None:
        raise ObjectError(20401, "Invalid Type")
    by_location = call.arguments.get("location") == "1"
    if by_location and call.behaviour.serves_objects != "locations":
        raise ObjectError(20414, "Location is not supported")
    base_url = call.base_url if by_location else None
    parts = [
        part
        for item in call.arguments.get("id", "").split(",")
        for part in _parts(world, studio, item.strip(), size, base_url)
    ]
    if len(parts) == 1:
        return _single(parts[0])
    if not parts:
        raise ObjectError(20403, "No Object Found")
    head = {"MIME-Version": "1.0", "Content-Type": f'multipart/parallel; boundary="{BOUNDARY}"'}
    return Answer(Multipart(parts), headers=head)


def _parts(
    world: Sandbox, studio: Studio, item: str, size: str, base_url: str | None
) -> list[Part]:
    key, *numbers = item.split(":")
    if not key.isdigit() or not all(number.isdigit() or number == "*" for number in numbers):
        raise ObjectError(20402, "Invalid Identifier")
    state = world.listings.get(int(key))
    listing = None if state is None else world.listing(state)
    photos = {} if listing is None else {photo.sequence: photo for photo in listing.photos}
    wanted = [*photos] if "*" in numbers else [int(number) for number in numbers or ["1"]]
    parts = []
    for number in wanted:
        part = Part([("Content-ID", key), ("Object-ID", str(number))], _NO_OBJECT)
        if listing is None or number not in photos:
            part.headers += [("Content-Type", "text/xml"), ("RETS-Error", "1")]
        else:
            _fill(part, studio, listing, photos[number], size, base_url)
        parts.append(part)
    return parts


def _fill(
    part: Part, studio: Studio, listing: Listing, photo: Photo, size: str, base_url: str | None
) -> None:
    if base_url is None:
        part.headers.append(("Content-Type", "image/jpeg"))
        part.body = studio.photo(listing.key, photo.photo_id, photo.ticks, size)
    else:
        address = base_url + photo_path(listing, photo, size)
        part.headers += [("Content-Type", "text/xml"), ("Location", address)]
        part.body = _NO_BODY


def _single(part: Part) -> Answer:
    headers = dict(part.headers)
    if "RETS-Error" in headers:
        raise ObjectError(20403, "No Object Found")
    return Answer(Raw([part.body]), headers={"MIME-Version": "1.0", **headers})
