"""The images: their addresses, and their bytes, made when somebody asks.

What belongs here: JPEGs from an identity, the cache of them, and the form of an address. What
does not: which photos a listing has.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

from PIL import Image, ImageDraw, ImageOps

from rets_pipeline.sandbox.chance import chance
from rets_pipeline.sandbox.clock import eastern_ticks, ticks
from rets_pipeline.sandbox.listing import Listing, Photo

#: our word for a size, DDF's word for it in an address, and the share of the large one
SIZES = {"thumbnail": ("lowres", 0.25), "medium": ("medres", 0.5), "large": ("highres", 1.0)}
_SIZES_BY_FOLDER = {folder: size for size, (folder, _) in SIZES.items()}
_CACHE_BYTES = 32_000_000
_ADDRESS = re.compile(
    r"/listings/TS(\d{1,19})/reb(\d{1,4})/(lowres|medres|highres)/(\d)/([A-Z]?\d{8})_(\d{1,3})\.jpg"
)
_PORTRAIT_ADDRESS = re.compile(r"/individual/en-ca/TS(\d{1,19})/(lowres|highres)/(\d{1,9})\.jpg")
_LOGO_ADDRESS = re.compile(r"/organization/en-ca/TS(\d{1,19})/lowres/(\d{1,9})\.jpg")


@dataclass(frozen=True, slots=True)
class PhotoAddress:
    """What an address of a photo says. ``eastern_ticks`` is its version."""

    eastern_ticks: int
    board: int
    size: str
    listing_id: str
    sequence: int


def photo_path(listing: Listing, photo: Photo, size: str) -> str:
    """The path of a photo's address.

    DDF: its ``TS`` changes if and only if the photo's time does; the last number is its place.
    """
    folder = f"/listings/TS{eastern_ticks(photo.ticks)}/reb{listing.place.board}/{SIZES[size][0]}"
    name = listing.listing_id
    return f"{folder}/{name[-1]}/{name}_{photo.sequence}.jpg"


def read_photo_path(path: str) -> PhotoAddress | None:
    """The reverse of :func:`photo_path`; None when it is no such path."""
    match = _ADDRESS.fullmatch(path)
    if match is None or match[5][-1] != match[4]:
        return None
    return PhotoAddress(
        int(match[1]), int(match[2]), _SIZES_BY_FOLDER[match[3]], match[5], int(match[6])
    )


def logo_path(office_id: int, version: int) -> str:
    """The path of an office's logo. DDF: its ``TS`` follows the listing's time, not the logo's."""
    return f"/organization/en-ca/TS{eastern_ticks(version)}/lowres/{office_id}.jpg"


def read_logo_path(path: str) -> int | None:
    """The office whose logo it is."""
    match = _LOGO_ADDRESS.fullmatch(path)
    return int(match[2]) if match else None


def portrait_path(agent_id: int, updated: int, size: str) -> str:
    """The path of an agent's photo: as a listing's, its ``TS`` is the photo's time."""
    moment = eastern_ticks(ticks(updated))
    return f"/individual/en-ca/TS{moment}/{SIZES[size][0]}/{agent_id}.jpg"


def read_portrait_path(path: str) -> tuple[int, int, str] | None:
    """The agent, the Eastern ticks and the size that a path of its photo names."""
    match = _PORTRAIT_ADDRESS.fullmatch(path)
    return (int(match[3]), int(match[1]), _SIZES_BY_FOLDER[match[2]]) if match else None


class Studio:
    """Makes images and keeps the latest of them. Safe for threads.

    Args:
        seed: of the world.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = Lock()
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._kept_bytes = 0
        self.photo_hash: Callable[[int, int, int, str], str] = lru_cache(maxsize=200_000)(
            self._photo_hash
        )
        self.logo_hash: Callable[[int, int], str] = lru_cache(maxsize=20_000)(self._logo_hash)
        self.portrait_hash: Callable[[int, int, str], str] = lru_cache(maxsize=20_000)(
            self._portrait_hash
        )

    def photo(self, key: int, photo_id: int, ticks: int, size: str) -> bytes:
        """The JPEG of a photo: of its identity and version, whatever its place in the order."""
        return self._image(f"photo:{key}:{photo_id}:{ticks}", size)

    def logo(self, office_id: int, version: int) -> bytes:
        """The JPEG of an office's logo; it changes with its version."""
        return self._image(f"logo:{office_id}:{version}", "thumbnail")

    def portrait(self, agent_id: int, updated: int, size: str) -> bytes:
        """The JPEG of an agent's photo."""
        return self._image(f"portrait:{agent_id}:{updated}", size)

    def _photo_hash(self, key: int, photo_id: int, ticks: int, size: str) -> str:
        return hashlib.sha256(self.photo(key, photo_id, ticks, size)).hexdigest()

    def _logo_hash(self, office_id: int, version: int) -> str:
        return hashlib.sha256(self.logo(office_id, version)).hexdigest()

    def _portrait_hash(self, agent_id: int, updated: int, size: str) -> str:
        return hashlib.sha256(self.portrait(agent_id, updated, size)).hexdigest()

    def _image(self, identity: str, size: str) -> bytes:
        with self._lock:
            found = self._kept.get((identity, size))
            if found is not None:
                self._kept.move_to_end((identity, size))
                return found
        made = _draw(self._seed, identity, size)
        with self._lock:
            if (identity, size) not in self._kept:
                self._kept[identity, size] = made
                self._kept_bytes += len(made)
            while self._kept_bytes > _CACHE_BYTES:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1])
        return made


def _draw(seed: int, identity: str, size: str) -> bytes:
    random = chance(seed, identity)
    share = SIZES[size][1]
    width = int(random.randrange(320, 641, 16) * share)
    height = int(random.randrange(200, 481, 16) * share)

    def colour() -> tuple[int, int, int]:
        return (random.randrange(256), random.randrange(256), random.randrange(256))

    gradient = Image.linear_gradient("L").resize((width, height))
    image = ImageOps.colorize(gradient, black=colour(), white=colour())
    pen = ImageDraw.Draw(image)
    for _ in range(random.randint(3, 12)):
        left, top = random.random() * 0.8, random.random() * 0.8
        right, bottom = left + 0.05 + random.random() * 0.3, top + 0.05 + random.random() * 0.3
        box = (left * width, top * height, right * width, bottom * height)
        shape = pen.ellipse if random.random() < 0.3 else pen.rectangle
        shape(box, fill=colour())
    written = io.BytesIO()
    # The comment makes sure that no two identities share their bytes.
    image.save(written, "JPEG", quality=random.randint(60, 90), comment=f"{identity}:{size}")
    return written.getvalue()
