"""Photos: from their server into the archive, and a run that has nothing to do.

The limit of downloads is threads on raw sockets that write the same files, and what latency and
the number of connections allow; of S3 the slower of downloading and uploading alone; of a multipart
answer one ``bytes.find`` pass over it; of a run with nothing to do one SQL count of its rows.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
import sqlalchemy as sa

from benchmarks import image_server, postgres
from benchmarks.image_server import PHOTO_BYTES
from benchmarks.measure import Figure, Times, seconds
from rets_pipeline.archive import Archive
from rets_pipeline.rets.multipart import Parts
from rets_pipeline.settings import FeedConfig, PhotoSettings
from rets_pipeline.sync import images as image_runs
from rets_pipeline.sync.images import ImageCounts, ToLoad
from rets_pipeline.sync.mirror import Credentials, Mirror
from rets_pipeline.sync.received import Picture, Received
from rets_pipeline.sync.transfer import Transfer
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.media import FileRow, Wanted
from rets_pipeline_tests.services.seaweedfs import S3Server

_FEED = "bench"
_ROUNDS = 7
_PHOTOS = 1_000
_LATENCY, _CONNECTIONS, _LATENT_PHOTOS = 0.05, 32, 1_600
_ONE_BY_ONE = 40
_S3_PHOTOS = 400
_PARTS, _CHUNK, _TIMES = 25, 1 << 16, 40
_ROWS = 1_000_000


def images() -> list[Figure]:
    """All of it."""
    return [*folder(), *latency(), *object_store(), *multipart(), *nothing_to_do()]


def folder() -> list[Figure]:
    """Photos without latency, to a folder.

    Nothing is deleted in between: for some seconds ext4 gives no place of a deleted file to a new
    one, and searches for others.
    """
    times = Times()
    with image_server.running() as port, TemporaryDirectory() as place:
        for number in range(_ROUNDS):
            for name, work in (("raw", _raw_to_folder), ("images", _to_folder)):
                target = Path(place) / f"{name}{number}"
                target.mkdir()
                times.measure(name, lambda: work(port, target))  # noqa: B023
    value = f"{_PHOTOS / times['images']:,.0f} photos/s"
    limit = f"16 threads on raw sockets, {_PHOTOS / times['raw']:,.0f}"
    ratio = times.ratio("raw", "images")
    return [Figure("photos of 100 KB, no latency, to a folder", value, limit, ratio, 0.55)]


def latency() -> list[Figure]:
    """Photos that are 50 ms away."""
    times = Times()
    with image_server.running(_LATENCY) as port:
        for _ in range(_ROUNDS):
            times.measure("images", lambda: _to_nowhere(port, _LATENT_PHOTOS, _CONNECTIONS))
        times.measure("one", lambda: _one_by_one(port))
    with image_server.running() as port:
        cpu = seconds({"images": lambda: _to_nowhere(port, _PHOTOS, _CONNECTIONS)}, _ROUNDS)
    bound = _CONNECTIONS / _LATENCY
    speed = _LATENT_PHOTOS / times["images"]
    one = _ONE_BY_ONE / times["one"]
    name = f"photos with 50 ms latency, {_CONNECTIONS} connections"
    each = cpu["images"] / _PHOTOS * 1000
    return [
        Figure(name, f"{speed:,.0f} photos/s", f"32 / 50 ms, {bound:,.0f}", speed / bound, 0.85),
        Figure("the same, against one after another", f"{speed:,.0f} photos/s",
               f"requests, {one:,.0f}", speed / one, 25),
        Figure("processor time of a photo: loaded, hashed, looked at", f"{each:.2f} ms", "ms",
               each, 0.3, below=True),
    ]  # fmt: skip


def object_store() -> list[Figure]:
    """Photos to S3."""
    times = Times()
    server = S3Server.start()
    body = image_server.photo()
    try:
        archive = Archive.from_uri("s3://rets-pipeline-tests/bench", server.environ)
        with image_server.running() as port:
            for number in range(_ROUNDS):
                down = times.measure("download", lambda: _to_nowhere(port, _S3_PHOTOS, 16))
                up = times.measure("upload", lambda: _upload(archive, number, body))  # noqa: B023
                times.note("slower", max(down, up))
                times.measure("both", lambda: _to_archive(port, archive))
    finally:
        server.stop()
    value = f"{_S3_PHOTOS / times['both']:,.0f} photos/s"
    limit = f"the slower of the two alone, {_S3_PHOTOS / times['slower']:,.0f}"
    name = "photos to S3 (SeaweedFS), download and upload overlapped"
    return [Figure(name, value, limit, times.ratio("slower", "both"), 0.75)]


def multipart() -> list[Figure]:
    """A GetObject answer with 25 photos, whose parts tell their lengths or do not."""
    name = f"multipart GetObject, {_PARTS} photos"
    return [_split(name, tells_length=True), _split(f"{name} without lengths", tells_length=False)]


def _split(name: str, *, tells_length: bool) -> Figure:
    body, boundary = image_server.photo(), b"simple boundary"
    length = b"Content-Length: %d\r\n" % len(body) if tells_length else b""
    head = b"Content-Type: image/jpeg\r\nContent-ID: 1\r\nObject-ID: %d\r\n" + length
    parts = [b"\r\n--%b\r\n" % boundary + head % n + b"\r\n" + body for n in range(_PARTS)]
    answer = b"".join(parts) + b"\r\n--%b--\r\n" % boundary
    chunks = [answer[at : at + _CHUNK] for at in range(0, len(answer), _CHUNK)]
    if [part.body for part in Parts(iter(chunks), boundary)] != [body] * _PARTS:
        raise AssertionError("a part is not what was sent")

    def split() -> None:
        for _ in range(_TIMES):
            for _part in Parts(iter(chunks), boundary):
                pass

    def find() -> None:
        for _ in range(_TIMES):
            at = 0
            while (at := answer.find(b"--" + boundary, at)) >= 0:
                at += 1

    took = seconds({"split": split, "find": find}, _ROUNDS)
    total = _TIMES * len(answer) / 1e9
    value, limit = f"{total / took['split']:.1f} GB/s", f"bytes.find, {total / took['find']:.1f}"
    return Figure(name, value, limit, took["find"] / took["split"], 0.6)


def nothing_to_do() -> list[Figure]:
    """A million images, all of them held."""
    times = Times()
    count = sa.text("SELECT count(*) FROM media WHERE feed = :feed")
    with postgres.warehouse() as warehouse, TemporaryDirectory() as place:
        _fill(warehouse)
        times.measure("compared", lambda: _run(warehouse, Path(place)))
        for _ in range(_ROUNDS):
            with warehouse.reading() as connection:
                times.measure("count", lambda: connection.execute(count, {"feed": _FEED}))
            times.measure("run", lambda: _run(warehouse, Path(place)))
    limit = f"one SQL count of them, {times['count']:.3f} s"
    name = "run with nothing changed, 1,000,000 images"
    ratios = {way: times[way] / times["count"] for way in ("run", "compared")}
    return [
        Figure(name, f"{times['run']:.2f} s", limit, ratios["run"], 5, below=True),
        Figure("the first such run, which compares each", f"{times['compared']:.2f} s", limit,
               ratios["compared"]),
    ]  # fmt: skip


def _run(warehouse: Warehouse, place: Path) -> None:
    with _mirror(warehouse, place) as mirror:
        counts = image_runs.mirror_images(mirror)
    if counts != ImageCounts():
        raise AssertionError(f"something to do: {counts}")


# --- our way --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kept(ToLoad):
    """As in a run; every photo in its own file, though all are equal."""


@dataclass(frozen=True, slots=True)
class _Dropped(ToLoad):
    """As in a run, and not stored."""

    def stored(self, received: Received, picture: Picture) -> FileRow:
        return {"state": picture.content_hash}


def _transfer(port: int, kind: type[ToLoad], archive: Archive, photos: int, width: int) -> None:
    settings = PhotoSettings(hosts=("127.0.0.1",), allow_private_addresses=True, connections=width)
    tasks = [
        kind(_FEED, archive, _image(number, f"http://127.0.0.1:{port}/{number}.jpg"), None,
             {})
        for number in range(photos)
    ]  # fmt: skip
    done = 0
    with Transfer(settings, "benchmarks") as transfer:
        transfer.give(tasks)
        while transfer.waiting:
            rows = transfer.take(100, 1.0)
            done += sum(row["state"] != "failed" for row in rows)
    assert done == photos


def _image(number: int, url: str) -> Wanted:
    return Wanted(str(number), f"{number}_1", "large", url, "1", 0)


def _to_folder(port: int, target: Path) -> None:
    _transfer(port, _Kept, Archive.from_uri(str(target)), _PHOTOS, 16)


def _to_nowhere(port: int, photos: int, width: int) -> None:
    with TemporaryDirectory() as place:
        _transfer(port, _Dropped, Archive.from_uri(place), photos, width)


def _to_archive(port: int, archive: Archive) -> None:
    _transfer(port, _Kept, archive, _S3_PHOTOS, 16)


# --- the limits -----------------------------------------------------------------------------------


def _raw_to_folder(port: int, target: Path) -> None:
    numbers = iter(range(_PHOTOS))
    guard = threading.Lock()
    threads = [
        threading.Thread(target=_raw, args=(port, target, numbers, guard)) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _raw(port: int, target: Path, numbers: Iterator[int], guard: threading.Lock) -> None:
    buffer = bytearray(PHOTO_BYTES + 4_096)
    view = memoryview(buffer)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while True:
            with guard:
                number = next(numbers, None)
            if number is None:
                return
            connection.sendall(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
            start, end = _read(connection, buffer, view)
            folder = target / str(number)
            folder.mkdir()
            with (folder / "photo.jpg").open("wb", buffering=0) as file:
                file.write(view[start:end])


def _read(connection: socket.socket, buffer: bytearray, view: memoryview) -> tuple[int, int]:
    got = start = 0
    while not start or got < start + PHOTO_BYTES:
        got += connection.recv_into(view[got:])
        if not start:
            start = buffer.find(b"\r\n\r\n", 0, got) + 4
    return start, start + PHOTO_BYTES


def _upload(archive: Archive, number: int, body: bytes) -> None:
    with ThreadPoolExecutor(16) as threads:
        keys = [f"alone{number}/{photo}/x.jpg" for photo in range(_S3_PHOTOS)]
        for done in [threads.submit(archive.put, key, body) for key in keys]:
            done.result()


def _one_by_one(port: int) -> None:
    with requests.Session() as session:
        for number in range(_ONE_BY_ONE):
            assert len(session.get(f"http://127.0.0.1:{port}/{number}", timeout=10).content)


# --- a million rows -------------------------------------------------------------------------------


@contextmanager
def _mirror(warehouse: Warehouse, place: Path) -> Iterator[Mirror]:
    feed = FeedConfig.model_validate(
        {
            "name": _FEED, "source": "ddf", "login_url": "http://127.0.0.1:1/",
            "username_variable": "A", "password_variable": "B", "first_day": "2026-01-01",
        }
    )  # fmt: skip
    archive = Archive.from_uri(str(place))
    with Mirror(feed, warehouse, archive, Credentials("a", "b"), job="images") as mirror:
        yield mirror


def _fill(warehouse: Warehouse) -> None:
    """40,000 listings with 25 photos each, and what is held of them."""
    rows = " FROM generate_series(0, :rows - 1) AS n"
    key = "(n / 25)::text, (n / 25)::text || '_' || (n % 25)::text"
    url = (
        "'https://ddfcdn.realtor.ca/listings/TS638000000000000000/reb9/highres/3/C' || n || '.jpg'"
    )
    named = sa.text(
        'INSERT INTO media (feed, listing_key, media_key, "order", media_url, medium_url,'
        f" thumbnail_url, change_token) SELECT :feed, {key}, n % 25, {url}, {url}, {url},"
        f" '638000000000000000'{rows}"
    )
    held = sa.text(
        "INSERT INTO media_file (feed, resource_name, resource_record_key, media_key, size,"
        " change_token, blob_key, content_hash, content_type, bytes, state, attempts, stored_at)"
        f" SELECT :feed, 'Property', {key}, 'large', '638000000000000000',"
        " 'images/bench/' || md5(n::text),"
        f" md5(n::text), 'image/jpeg', 100000, 'stored', 0, now(){rows}"
    )
    with warehouse.writing() as connection:
        for statement in (named, held):
            connection.execute(statement, {"feed": _FEED, "rows": _ROWS})
    postgres.clean(warehouse)
    # A look at every page, so that the first measure does not pay for what the load left behind.
    with warehouse.reading() as connection:
        for table in ("media", "media_file"):
            connection.execute(sa.text(f"SELECT count(*) FROM {table}"))  # noqa: S608
    time.sleep(0.5)
