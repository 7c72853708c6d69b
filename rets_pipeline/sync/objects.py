"""Photos by GetObject, for servers whose payloads name no addresses, or addresses that fail.

What belongs here: asking for the photos of some listings at a time, by address or as bytes, and
telling which answer belongs to which photo. What does not: the transaction itself (``rets``), and
what is done with the answers (``images``).

GetObject needs the RETS session of the account, so whoever asks holds the feed's lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from rets_pipeline.rets import RetsError, RetsObject
from rets_pipeline.sync.downloads import ImageAbsent, ImagePostponed, ImageRefused
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse.media import Wanted

#: CREA refuses `*/*` for photos, says who tried
_ACCEPT = "image/jpeg"
#: answers in a row that fail as a whole; then nothing more is asked that way in this run
_FAILURES_IN_A_ROW = 3

Answered = tuple[Wanted, RetsObject | Exception]


class Objects:
    """The photos of one feed by GetObject, during one run.

    Attributes:
        requests: how many were sent.
    """

    def __init__(self, mirror: Mirror) -> None:
        self.requests = 0
        self._mirror = mirror
        self._types = mirror.source.object_types
        self._max_bytes = mirror.feed.photos.max_bytes
        self._failures = {True: 0, False: 0}

    def ask(self, images: Sequence[Wanted], *, location: bool) -> Iterator[Answered]:
        """Each image with its object, one object in memory at a time, or with why there is none.

        Args:
            images: those of a listing together.
            location: addresses are wanted rather than bytes. Some servers send bytes all the same.
        """
        for size, some in groupby(sorted(images, key=_by_size), key=_by_size):
            for batch in self._batches(list(some)):
                yield from self._batch(size, batch, location)

    def _batches(self, images: list[Wanted]) -> Iterator[list[Wanted]]:
        most = self._mirror.feed.photos.listings_per_object_request
        batch: list[Wanted] = []
        listings = 0
        for _, some in groupby(images, key=lambda image: image.listing_key):
            batch += some
            listings += 1
            if listings == most:
                yield batch
                batch, listings = [], 0
        if batch:
            yield batch

    def _batch(self, size: str, images: list[Wanted], location: bool) -> Iterator[Answered]:
        waiting: dict[tuple[str, str], Wanted] = {}
        for image in images:
            if image.order is None:
                yield image, ImageRefused("GetObject: the payload gives it no number")
            elif waiting.setdefault((image.listing_key, str(image.order)), image) is not image:
                yield image, ImageRefused("GetObject: the payload gives its number to another too")
        kind = self._types.get(size)
        fault: Exception = ImageAbsent("GetObject: the server did not send it")
        if not waiting:
            return
        if kind is None:
            fault = ImageRefused(f"GetObject: the source has no photos of the size {size}")
        elif self._failures[location] >= _FAILURES_IN_A_ROW:
            fault = ImagePostponed("GetObject: the server is left alone for now")
        else:
            try:
                yield from self._answered(kind, waiting, location)
                self._failures[location] = 0
            except ImageRefused as error:
                fault = error
            except (RetsError, ValueError) as error:  # ValueError: a key that RETS cannot ask for
                self._failures[location] += isinstance(error, RetsError)
                fault = ImageRefused(f"GetObject: {error}")
        for image in waiting.values():
            yield image, fault

    def _answered(
        self, kind: str, waiting: dict[tuple[str, str], Wanted], location: bool
    ) -> Iterator[Answered]:
        wanted: dict[str, list[str]] = {}
        for listing_key, number in waiting:
            wanted.setdefault(listing_key, []).append(number)
        self.requests += 1
        ids: Mapping[str, list[str]] = wanted
        session = self._mirror.session()
        with session.get_object(
            "Property", kind, ids, location=location, accept=_ACCEPT
        ) as objects:
            for found in objects:
                place = (found.content_id or "", found.object_id or "")
                image = waiting.pop(place, None)
                if image is None:
                    continue  # nobody asked for it, or it comes again
                if len(found.data) > self._max_bytes:
                    yield image, ImageRefused(f"GetObject: larger than {self._max_bytes} bytes")
                elif found.error is None:
                    yield image, found
                elif found.absent:
                    yield image, ImageAbsent("GetObject: there is none (20403)")
                else:
                    yield image, ImageRefused(f"GetObject: {found.error}")
        if waiting and objects.closed is False:
            # Some servers forget the closing boundary; others break off there.
            raise ImageRefused("GetObject: the answer ended before it, without a closing boundary")


def _by_size(image: Wanted) -> str:
    return image.size
