"""What can happen to one listing, as functions from its old state to its new one.

What belongs here: the kinds of change, the request for one as it comes over HTTP, and its
effect on a state. What does not: choosing which listings change (``aging``), and keeping the
states (``world``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from rets_pipeline.sandbox.clock import DAY, TICKS_PER_SECOND, seconds_of, ticks
from rets_pipeline.sandbox.kinds import ADDED, REMOVED, RESTORED, ChangeError
from rets_pipeline.sandbox.listing import ListingState, PhotoState

#: kinds with which a board sends the whole listing again, its people as they are then
_WRITTEN_ANEW = {"price", "remarks", "status", "open_house"}


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was asked for.

    Attributes:
        kind: one of :data:`KINDS`, or added, removed, restored.
        listing_key: whose; None only for added.
        count: how many listings are added.
        sequence: the position, from 1, of the photo that is replaced, removed or inserted.
        order: photo ids in their new order.
        last_updated: the listing's LastUpdated afterwards; None means the sandbox's now.
        keep_timestamp: content changes and LastUpdated does not.
    """

    kind: str
    listing_key: int | None = None
    count: int = 1
    sequence: int | None = None
    order: tuple[int, ...] | None = None
    last_updated: int | None = None
    keep_timestamp: bool = False

    @classmethod
    def from_json(cls, document: object) -> Change:
        """Read a request.

        Raises:
            ChangeError: it is not one.
        """
        if not isinstance(document, dict):
            raise ChangeError("a change is a JSON object")
        unknown = sorted(set(document) - set(cls.__dataclass_fields__))
        if unknown:
            raise ChangeError(f"unknown: {', '.join(unknown)}")
        kind = document.get("kind")
        if kind not in (*KINDS, ADDED, REMOVED, RESTORED):
            raise ChangeError(f"unknown kind {kind!r}")
        if kind != ADDED and document.get("listing_key") is None:
            raise ChangeError("listing_key is missing")
        try:
            return cls(kind, **_arguments(document))
        except (TypeError, ValueError) as error:
            raise ChangeError(f"bad value: {error}") from None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a change may depend on.

    Attributes:
        now: the moment that it happens.
        first: the earliest time that a listing may have.
        photos: the listing's photos before.
        random: chance of this change.
    """

    now: int
    first: int
    photos: tuple[PhotoState, ...]
    random: Random


def apply(state: ListingState, change: Change, around: Circumstances) -> ListingState:
    """The state after a change.

    Raises:
        ChangeError: the listing does not allow it.
    """
    after = KINDS[change.kind](state._replace(updated=around.now), state, change, around)
    if change.kind in _WRITTEN_ANEW:
        after = after._replace(people_at=around.now)
    if change.keep_timestamp:
        return after._replace(updated=state.updated)
    if change.last_updated is not None:
        return after._replace(updated=change.last_updated)
    return after


def is_possible(kind: str, state: ListingState, photo_count: int, first: int) -> bool:
    """Whether a listing can change in that way as time passes."""
    if kind in ("photo_removed", "photos_reordered"):
        return photo_count >= 2
    if kind == "photo_replaced":
        return photo_count >= 1
    if kind in ("timestamp_backwards", "timestamp_long_ago"):
        return state.updated - first >= 7200
    return True


def _arguments(document: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("listing_key", "count", "sequence"):
        if document.get(name) is not None:
            found[name] = int(document[name])
    if document.get("order") is not None:
        found["order"] = tuple(int(photo_id) for photo_id in document["order"])
    if document.get("last_updated") is not None:
        found["last_updated"] = seconds_of(document["last_updated"])
    if not isinstance(document.get("keep_timestamp", False), bool):
        raise ValueError("keep_timestamp is true or false")
    found["keep_timestamp"] = document.get("keep_timestamp", False)
    return found


_Effect = Callable[[ListingState, ListingState, Change, Circumstances], ListingState]


def _price(new: ListingState, old: ListingState, _: Change, __: Circumstances) -> ListingState:
    return new._replace(price_version=old.price_version + 1)


def _remarks(new: ListingState, old: ListingState, _: Change, __: Circumstances) -> ListingState:
    return new._replace(remarks_version=old.remarks_version + 1)


def _status(new: ListingState, old: ListingState, _: Change, __: Circumstances) -> ListingState:
    return new._replace(status_version=old.status_version + 1)


def _open_house(
    new: ListingState, old: ListingState, _: Change, around: Circumstances
) -> ListingState:
    return new._replace(open_house_version=old.open_house_version + 1, open_houses_from=around.now)


def _touched(new: ListingState, _: ListingState, __: Change, ___: Circumstances) -> ListingState:
    return new


def _backwards(
    new: ListingState, old: ListingState, _: Change, around: Circumstances
) -> ListingState:
    room = old.updated - around.first
    if room < 2:
        raise ChangeError("the timestamp is the first already")
    step = around.random.randint(1, max(1, room // 2))
    return new._replace(updated=old.updated - step)


def _long_ago(
    new: ListingState, old: ListingState, _: Change, around: Circumstances
) -> ListingState:
    room = old.updated - around.first
    if room < 2:
        raise ChangeError("the timestamp is the first already")
    return new._replace(updated=around.first + around.random.randint(0, min(DAY, room // 2)))


def _photo_replaced(
    new: ListingState, _: ListingState, change: Change, around: Circumstances
) -> ListingState:
    photos = list(around.photos)
    index = _index(photos, change.sequence, around.random.randrange(len(photos)) if photos else 0)
    photos[index] = PhotoState(photos[index].photo_id, _photo_ticks(around))
    return new._replace(photos=tuple(photos))


def _photo_added(
    new: ListingState, _: ListingState, change: Change, around: Circumstances
) -> ListingState:
    photos = list(around.photos)
    index = len(photos) if change.sequence is None else change.sequence - 1
    if not 0 <= index <= len(photos):
        raise ChangeError(f"no photo can be inserted at {change.sequence}")
    photo_id = max((photo.photo_id for photo in photos), default=0) + 1
    photos.insert(index, PhotoState(photo_id, _photo_ticks(around)))
    return new._replace(photos=tuple(photos))


def _photo_removed(
    new: ListingState, _: ListingState, change: Change, around: Circumstances
) -> ListingState:
    photos = list(around.photos)
    del photos[_index(photos, change.sequence, len(photos) - 1)]
    return new._replace(photos=tuple(photos))


def _photos_reordered(
    new: ListingState, _: ListingState, change: Change, around: Circumstances
) -> ListingState:
    photos = around.photos
    if change.order is not None:
        by_id = {photo.photo_id: photo for photo in photos}
        if sorted(change.order) != sorted(by_id):
            raise ChangeError(f"order must name the photos {sorted(by_id)}, each once")
        return new._replace(photos=tuple(by_id[photo_id] for photo_id in change.order))
    if len(photos) < 2:
        raise ChangeError("fewer than two photos have no other order")
    turn = around.random.randrange(1, len(photos))
    return new._replace(photos=(*photos[turn:], *photos[:turn]))


def _index(photos: list[PhotoState], sequence: int | None, otherwise: int) -> int:
    index = otherwise if sequence is None else sequence - 1
    if not 0 <= index < len(photos):
        raise ChangeError("there is no such photo")
    return index


def _photo_ticks(around: Circumstances) -> int:
    return ticks(around.now, around.random.randrange(TICKS_PER_SECOND))


KINDS: dict[str, _Effect] = {
    "price": _price,
    "remarks": _remarks,
    # DDF has no status: it shows as another TransactionType, with Price and Lease following,
    # and as presence or absence.
    "status": _status,
    "open_house": _open_house,
    "photo_replaced": _photo_replaced,
    "photo_added": _photo_added,
    "photo_removed": _photo_removed,
    "photos_reordered": _photos_reordered,
    "touched": _touched,
    "timestamp_backwards": _backwards,
    "timestamp_long_ago": _long_ago,
}
