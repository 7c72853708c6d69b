from __future__ import annotations

import contextlib
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urlsplit

import boto3
import pytest

from rets_pipeline.archive import Archive, ArchiveError, NotInArchive, safe_segment
from rets_pipeline_tests.patience import PATIENCE
from rets_pipeline_tests.services.seaweedfs import BUCKET, S3Server

# More than a part of an upload, so that pieces have really left before the end.
LARGE = 20_000_000


@pytest.fixture(params=["folder", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "not there yet" / "archive")
    value: str = request.getfixturevalue("s3_archive_uri")
    return value


@pytest.fixture
def archive(uri: str) -> Archive:
    return Archive.from_uri(uri)


def keys(archive: Archive, prefix: str = "") -> list[str]:
    return sorted(stored.key for stored in archive.list(prefix))


def test_put_and_get(archive: Archive) -> None:
    for data in (b"one", b"", bytes(range(256)) * 40_000):
        archive.put("images/sandbox/a.jpg", data, content_type="image/jpeg")
        assert archive.get("images/sandbox/a.jpg") == data
        assert b"".join(archive.stream("images/sandbox/a.jpg", 100_000)) == data
    assert archive.exists("images/sandbox/a.jpg")
    assert keys(archive) == ["images/sandbox/a.jpg"]


def test_what_is_absent(archive: Archive) -> None:
    archive.put("a/b", b"1")
    for key in ("nothing", "a", "a/b/c", "a/bc"):
        assert not archive.exists(key)
        with pytest.raises(NotInArchive, match=f"{key}: is not in the archive"):
            archive.get(key)
        with pytest.raises(NotInArchive):
            next(archive.stream(key))
    assert archive.delete(["nothing", "a/b/c", "a/b", "a/b"]) == 4
    assert archive.delete([]) == 0
    assert not archive.exists("a/b")
    assert keys(archive) == []


def test_listing(archive: Archive) -> None:
    assert keys(archive) == []
    assert keys(archive, "raw/none") == []
    before = datetime.now(UTC) - timedelta(seconds=5)
    for number in range(25):
        archive.put(f"raw/ddf/{number % 5}/page-{number:05}.xml.zst", bytes(number))
    archive.put("raw/ddf2/page", b"")
    archive.put("raw/ddf", b"beside the folder of the same name") if "s3" in archive.uri(
        "x"
    ) else None
    listed = {stored.key: stored for stored in archive.list("raw/ddf")}
    assert sorted(listed) == sorted(
        f"raw/ddf/{number % 5}/page-{number:05}.xml.zst" for number in range(25)
    )
    stored = listed["raw/ddf/2/page-00017.xml.zst"]
    assert stored.bytes == 17
    assert before < stored.modified < datetime.now(UTC) + timedelta(seconds=5)
    assert keys(archive, "raw/ddf/3/") == [
        f"raw/ddf/3/page-{number:05}.xml.zst" for number in (3, 8, 13, 18, 23)
    ]
    assert keys(archive, "raw/dd") == []


def test_more_than_a_batch(archive: Archive) -> None:
    names = [f"many/{number:04}" for number in range(1100)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: archive.put(key, b"x"), names))
    assert keys(archive, "many") == names
    assert archive.delete(iter([*names, "many/never"])) == 1101
    assert keys(archive) == []


def test_any_text_of_a_server(archive: Archive) -> None:
    texts = [
        "..",
        ".",
        "",
        "/etc/passwd",
        "a/../b",
        "a b",
        "ü",
        "a+b",
        "a%2Fb",
        "#1",
        "x\x00\n",
        "Z" * 999,
    ]
    for text in texts:
        archive.put(f"t/{safe_segment(text)}/x", text.encode())
    for text in texts:
        assert archive.get(f"t/{safe_segment(text)}/x") == text.encode()
    assert keys(archive) == sorted(f"t/{safe_segment(text)}/x" for text in texts)


@pytest.mark.parametrize(
    "key", ["", "../x", "a/../../x", "/x", "a//b", "a/", "a\\b", "a\nb", "a#1"]
)
def test_no_path_escapes(archive: Archive, key: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: archive.put(key, b"x"),
        lambda: archive.get(key),
        lambda: list(archive.stream(key)),
        lambda: archive.exists(key),
        lambda: archive.delete([key]),
        lambda: archive.writer(key).__enter__(),
    ]
    for call in calls:
        with pytest.raises(ArchiveError, match="key"):
            call()
    assert keys(archive) == []


class TestWriter:
    def pieces(self) -> Iterator[bytes]:
        for number in range(LARGE // 500_000):
            yield bytes([number]) * 500_000

    def test_nothing_is_visible_before_the_end(self, archive: Archive) -> None:
        archive.put("w/one", b"before")
        with archive.writer("w/one", content_type="application/zstd") as out:
            for piece in self.pieces():
                assert out.write(piece) == len(piece)
            time.sleep(0.2)
            assert archive.get("w/one") == b"before"
        assert archive.get("w/one") == b"".join(self.pieces())
        assert [stored.bytes for stored in archive.list()] == [LARGE]

    def test_small_and_empty(self, archive: Archive) -> None:
        with archive.writer("w/small") as out:
            out.write(b"a")
            out.write(b"")
            out.write(b"b")
        with archive.writer("w/empty"):
            pass
        assert (archive.get("w/small"), archive.get("w/empty")) == (b"ab", b"")

    def test_a_refused_piece_cannot_be_overlooked(self, archive: Archive) -> None:
        with (  # noqa: PT012
            pytest.raises(ArchiveError, match="w/hole: not stored"),
            archive.writer("w/hole") as out,
        ):
            out.write(b"before")
            with contextlib.suppress(TypeError):
                out.write("text")  # type: ignore[arg-type]
            out.write(b"after")
        assert keys(archive) == []

    @pytest.mark.parametrize("pieces", [1, LARGE // 500_000])
    @pytest.mark.parametrize("error", [RuntimeError("mine"), KeyboardInterrupt()])
    def test_an_exception_leaves_nothing(
        self,
        archive: Archive,
        uri: str,
        pieces: int,
        error: BaseException,
        request: pytest.FixtureRequest,
    ) -> None:
        archive.put("w/kept", b"before")
        for key in ("w/kept", "w/new"):
            with pytest.raises(type(error)) as caught, archive.writer(key) as out:  # noqa: PT012
                for piece in islice(self.pieces(), pieces):
                    out.write(piece)
                raise error
            assert caught.value is error
        assert keys(archive) == ["w/kept"]
        assert archive.get("w/kept") == b"before"
        assert leftovers(uri, request) == []

    def test_a_killed_process_leaves_nothing_to_see(self, archive: Archive, uri: str) -> None:
        script = """
import os, signal, sys
from rets_pipeline.archive import Archive
archive = Archive.from_uri(sys.argv[1])
with archive.writer("w/kept") as kept, archive.writer("w/new") as new:
    for _ in range(20):
        kept.write(bytes(1_000_000))
        new.write(bytes(1_000_000))
    os.kill(os.getpid(), signal.SIGKILL)
"""
        archive.put("w/kept", b"before")
        done = subprocess.run([sys.executable, "-c", script, uri], check=False, timeout=PATIENCE)
        assert done.returncode == -9
        assert keys(archive) == ["w/kept"]
        assert archive.get("w/kept") == b"before"
        # And the next attempt is not in the way of the last one's remains.
        for key in ("w/kept", "w/new"):
            with archive.writer(key) as out:
                out.write(b"after")
            assert archive.get(key) == b"after"
        assert keys(archive) == ["w/kept", "w/new"]

    def test_an_abandoned_stream_leaves_nothing(
        self, archive: Archive, uri: str, request: pytest.FixtureRequest
    ) -> None:
        def producer() -> Iterator[int]:
            with archive.writer("w/abandoned") as out:
                for piece in self.pieces():
                    yield out.write(piece)

        stream = producer()
        for _ in range(30):
            next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert keys(archive) == []
        assert leftovers(uri, request) == []


def leftovers(uri: str, request: pytest.FixtureRequest) -> list[str]:
    """Unfinished writes that no listing shows, seen by other means than the archive's."""
    if not uri.startswith("s3://"):
        return [path.name for path in Path(uri).rglob("*#*")]
    server: S3Server = request.getfixturevalue("s3_server")
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
    )
    prefix = uri.removeprefix(f"s3://{BUCKET}/")
    answer = client.list_multipart_uploads(Bucket=BUCKET)
    return [each["Key"] for each in answer.get("Uploads", []) if each["Key"].startswith(prefix)]


def test_concurrent_puts(archive: Archive) -> None:
    def put(number: int) -> None:
        archive.put(f"c/{number % 7}/{number}", hashlib.sha256(bytes([number])).digest() * 2000)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, range(160)))
    assert len(keys(archive, "c")) == 160
    for number in range(160):
        assert (
            archive.get(f"c/{number % 7}/{number}")
            == hashlib.sha256(bytes([number])).digest() * 2000
        )


def test_readers_see_one_whole_version(archive: Archive) -> None:
    """16 threads overwrite a key while another reads it."""
    versions = {bytes([number]) * 200_000 for number in range(16)}
    archive.put("v/one", bytes(200_000))
    stop = threading.Event()

    def write(number: int) -> None:
        while not stop.is_set():
            archive.put("v/one", bytes([number]) * 200_000)

    with ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(write, number) for number in range(16)]
        try:
            seen = {archive.get("v/one") for _ in range(100)}
        finally:
            stop.set()
        for future in futures:
            future.result()
    assert seen <= versions
    assert len(seen) > 1


def test_puts_beside_deletes(archive: Archive) -> None:
    """Folders that become empty go, but never under the hands of somebody who writes there."""

    def work(number: int) -> None:
        for round_ in range(30):
            archive.put(f"d/shared/{number}", bytes([round_]))
            assert archive.get(f"d/shared/{number}") == bytes([round_])
            archive.delete([f"d/shared/{number}"])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    assert keys(archive) == []
    archive.put("d/again", b"1")
    assert keys(archive) == ["d/again"]


# In a process of its own: the largest memory of a process never goes down again.
_STREAMING = """
import hashlib, resource, sys
from rets_pipeline.archive import Archive

archive = Archive.from_uri(sys.argv[1])
def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
def copy(key, megabytes):
    written = hashlib.blake2b()
    with archive.writer(key) as out:
        for number in range(megabytes):
            piece = number.to_bytes(4, "big") * 250_000
            written.update(piece)
            out.write(piece)
    read = hashlib.blake2b()
    for chunk in archive.stream(key):
        read.update(chunk)
    assert read.digest() == written.digest()
copy("m/first", 20)
after_20 = memory()
copy("m/second", 200)
after_200 = memory()
print(after_20, after_200)
assert after_200 - after_20 < 60, (after_20, after_200)
"""


def test_streaming_is_flat_in_memory(archive: Archive, uri: str) -> None:
    """200 MB need no more memory than 20 MB, but for the parts under way."""
    subprocess.run(
        [sys.executable, "-c", _STREAMING, uri], check=True, timeout=PATIENCE, env={**os.environ}
    )
    assert sorted(stored.bytes for stored in archive.list("m")) == [20_000_000, 200_000_000]


def test_check(archive: Archive) -> None:
    archive.check()
    assert keys(archive) == []


def test_uri_and_description(tmp_path: Path) -> None:
    folder = tmp_path / "with blank ü"
    for address in (str(folder), f"file://{folder}", f"file://localhost{folder}"):
        archive = Archive.from_uri(address)
        assert archive.description == str(folder)
        archive.put("a/b", address.encode())
        assert Path(unquote(urlsplit(archive.uri("a/b")).path)).read_bytes() == address.encode()
    assert Archive.from_uri(f"file://{tmp_path}/with%20blank%20%C3%BC").get("a/b")
    archive = Archive.from_uri("s3://bucket/some/prefix/", {})
    assert archive.uri("a/b") == "s3://bucket/some/prefix/a/b"
    assert repr(archive) == "Archive('s3://bucket/some/prefix')"


class TestFolder:
    def test_empty_folders_go(self, tmp_path: Path) -> None:
        archive = Archive.from_uri(str(tmp_path / "archive"))
        archive.put("images/sandbox/1/a", b"1")
        archive.put("images/sandbox/2/a", b"1")
        archive.delete(["images/sandbox/1/a"])
        assert sorted(path.name for path in tmp_path.rglob("*")) == [
            "2",
            "a",
            "archive",
            "images",
            "sandbox",
        ]
        archive.delete(["images/sandbox/2/a"])
        assert [path.name for path in tmp_path.rglob("*")] == ["archive"]

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(ArchiveError, match=r"file: ") as caught:
            Archive.from_uri(str(tmp_path / "file"))
        assert_one_plain_line(caught.value)
        with pytest.raises(ArchiveError, match=r"file/below: ") as caught:
            Archive.from_uri(str(tmp_path / "file" / "below"))
        assert_one_plain_line(caught.value)

    def test_a_folder_that_went_away(self, tmp_path: Path) -> None:
        archive = Archive.from_uri(str(tmp_path / "archive"))
        (tmp_path / "archive").rmdir()
        assert keys(archive) == []
        assert not archive.exists("a")
        archive.put("a", b"1")
        assert archive.get("a") == b"1"

    def test_a_key_below_another(self, tmp_path: Path) -> None:
        archive = Archive.from_uri(str(tmp_path / "archive"))
        archive.put("a", b"1")
        with pytest.raises(ArchiveError) as caught:
            archive.put("a/b", b"2")
        assert not isinstance(caught.value, NotInArchive)
        assert_one_plain_line(caught.value)
        assert archive.get("a") == b"1"

    def test_a_link_is_replaced(self, tmp_path: Path) -> None:
        archive = Archive.from_uri(str(tmp_path / "archive"))
        (tmp_path / "outside").write_bytes(b"outside")
        (tmp_path / "archive" / "link").symlink_to(tmp_path / "outside")
        archive.put("link", b"new")
        assert archive.get("link") == b"new"
        assert (tmp_path / "outside").read_bytes() == b"outside"

    def test_a_write_that_fails_half_way(self, tmp_path: Path) -> None:
        """As on a full disk: no file of the process may grow beyond 1 MB."""
        script = """
import resource, sys
from rets_pipeline.archive import Archive, ArchiveError
archive = Archive.from_uri(sys.argv[1])
archive.put("kept", b"before")
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
for swallow in (False, True):
    try:
        with archive.writer("kept") as out:
            for _ in range(30):
                try:
                    out.write(bytes(1_000_000))
                except ArchiveError:
                    if not swallow:
                        raise
    except ArchiveError as error:
        print(error)
try:
    archive.put("kept", bytes(2_000_000))
except ArchiveError as error:
    print(error)
assert archive.get("kept") == b"before"
"""
        folder = tmp_path / "archive"
        done = subprocess.run(
            [sys.executable, "-c", script, folder],
            check=True,
            timeout=PATIENCE,
            capture_output=True,
            text=True,
        )
        first, second, third = done.stdout.splitlines()
        assert first == third == f"{folder}: kept: File too large"
        assert second.startswith(f"{folder}: kept: ")
        assert [path.name for path in folder.iterdir()] == ["kept"]


class TestS3:
    def refused(self, uri: str, environ: dict[str, str]) -> list[ArchiveError]:
        """What every call raises, each within seconds."""
        archive = Archive.from_uri(uri, environ)
        calls: list[Callable[[], object]] = [
            lambda: archive.put("a", b"x"),
            lambda: archive.get("a"),
            lambda: list(archive.stream("a")),
            lambda: list(archive.list()),
            lambda: archive.delete(["a"]),
            archive.check,
        ]
        errors = []
        for call in calls:
            with pytest.raises(ArchiveError) as caught:
                call()
            assert not isinstance(caught.value, NotInArchive)
            assert_one_plain_line(caught.value)
            assert environ["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)
            assert environ["AWS_ACCESS_KEY_ID"] not in str(caught.value)
            errors.append(caught.value)
        return errors

    def test_missing_bucket(self, s3_server: S3Server) -> None:
        for error in self.refused("s3://no-such-bucket/prefix", s3_server.environ):
            assert "the bucket does not exist" in str(error)
            assert f"s3://no-such-bucket/prefix at {s3_server.endpoint}" in str(error)

    def test_wrong_secret(self, s3_archive_uri: str, s3_server: S3Server) -> None:
        environ = {**s3_server.environ, "AWS_SECRET_ACCESS_KEY": "wrong-secret-key"}
        for error in self.refused(s3_archive_uri, environ):
            assert "the secret key is wrong (AWS_SECRET_ACCESS_KEY)" in str(error)

    def test_unknown_key(self, s3_archive_uri: str, s3_server: S3Server) -> None:
        environ = {**s3_server.environ, "AWS_ACCESS_KEY_ID": "UNKNOWNKEY"}
        for error in self.refused(s3_archive_uri, environ):
            assert "does not know the access key (AWS_ACCESS_KEY_ID)" in str(error)

    def test_unreachable_server(self, s3_server: S3Server) -> None:
        environ = {**s3_server.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
        archive = Archive.from_uri("s3://bucket", environ)
        begin = time.monotonic()
        with pytest.raises(ArchiveError, match="cannot be reached") as caught:
            archive.put("a", b"x")
        assert_one_plain_line(caught.value)
        assert time.monotonic() - begin < 30

    def test_a_server_that_dies(self) -> None:
        server = S3Server.start()
        try:
            archive = Archive.from_uri(f"s3://{BUCKET}", server.environ)
            archive.put("a", bytes(60_000_000))
            chunks = archive.stream("a")
            next(chunks)
            with pytest.raises(ArchiveError) as writing, archive.writer("b") as out:  # noqa: PT012
                out.write(bytes(9_000_000))
                server.stop()
                for _ in range(100):
                    out.write(bytes(9_000_000))
            with pytest.raises(ArchiveError) as reading:
                list(chunks)
        finally:
            server.stop()
        for caught in (writing, reading):
            assert "the server cannot be reached, or the connection broke" in str(caught.value)
            assert_one_plain_line(caught.value)

    def test_settings_come_from_the_given_environment_only(
        self, s3_archive_uri: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        Archive.from_uri(s3_archive_uri, s3_server.environ).check()

    def test_prefixes_are_apart(self, s3_archive_uri: str) -> None:
        one, other = (
            Archive.from_uri(f"{s3_archive_uri}/one"),
            Archive.from_uri(f"{s3_archive_uri}/other"),
        )
        one.put("a", b"1")
        assert keys(other) == []
        assert keys(Archive.from_uri(s3_archive_uri)) == ["one/a"]
        other.delete(["a"])
        assert one.exists("a")

    def test_content_type_is_kept(self, s3_archive_uri: str, s3_server: S3Server) -> None:
        archive = Archive.from_uri(s3_archive_uri)
        archive.put("a", b"1", content_type="image/jpeg")
        with archive.writer("b", content_type="application/zstd") as out:
            out.write(b"1")
        client = boto3.client(
            "s3",
            endpoint_url=s3_server.endpoint,
            region_name="us-east-1",
            aws_access_key_id=s3_server.access_key_id,
            aws_secret_access_key=s3_server.secret_access_key,
        )
        prefix = s3_archive_uri.removeprefix(f"s3://{BUCKET}/")
        types = [
            client.head_object(Bucket=BUCKET, Key=f"{prefix}/{key}")["ContentType"] for key in "ab"
        ]
        assert types == ["image/jpeg", "application/zstd"]

        forever = "public, max-age=31536000, immutable"
        archive.put("c", b"1", content_type="image/jpeg", cache_control=forever)
        assert client.head_object(Bucket=BUCKET, Key=f"{prefix}/c")["CacheControl"] == forever

        large = random.Random(5).randbytes(20_000_000)
        with tempfile.TemporaryFile() as file:
            file.write(large)
            file.seek(0)
            archive.put("d", file, content_type="image/tiff", cache_control=forever)
        head = client.head_object(Bucket=BUCKET, Key=f"{prefix}/d")
        assert (head["ContentType"], head["CacheControl"]) == ("image/tiff", forever)
        assert head["ETag"].strip('"').endswith("-3")  # in three parts
        assert archive.get("d") == large


GOOD = {
    "AWS_ACCESS_KEY_ID": "key-of-the-test",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
}


@pytest.mark.parametrize(
    ("uri", "changes", "message"),
    [
        ("", {}, "the archive's address is empty"),
        ("gs://bucket", {}, "an archive is a folder, file:///path or s3://bucket/prefix"),
        ("file://host/path", {}, "file:///path"),
        ("s3://", {}, "s3://bucket/prefix"),
        ("s3://key-of-the-test:secret-of-the-test@bucket/x", {}, "s3://bucket/prefix"),
        ("s3://bucket/a b", {}, "unsafe character"),
        ("s3://bucket/../x", {}, "s3://bucket/../x: the key"),
        ("s3://bucket", {"AWS_ENDPOINT_URL": "nonsense"}, "AWS_ENDPOINT_URL: must be an address"),
        (
            "s3://bucket",
            {"AWS_ENDPOINT_URL": "http://[::1"},
            "AWS_ENDPOINT_URL: must be an address",
        ),
        ("s3://bucket", {"AWS_ENDPOINT_URL": "http://a b"}, "AWS_ENDPOINT_URL: must be an address"),
        ("s3://bucket", {"AWS_ENDPOINT_URL": "ftp://a"}, "AWS_ENDPOINT_URL: must be an address"),
        (
            "s3://bucket",
            {"AWS_ENDPOINT_URL": "http://key-of-the-test:secret-of-the-test@host"},
            "AWS_ENDPOINT_URL: must hold neither",
        ),
        ("s3://bucket", {"AWS_REGION": "us east\n"}, "AWS_REGION: must be a region's name"),
        ("s3://bucket", {"AWS_ACCESS_KEY_ID": ""}, "AWS_ACCESS_KEY_ID is not set"),
        ("s3://bucket", {"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY is not set"),
        ("s3://bucket", {"AWS_SECRET_ACCESS_KEY": "secret-of-the-test\n"}, "unusual character"),
        (
            "s3://bucket",
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set",
        ),
    ],
)
def test_settings_that_cannot_be_used(uri: str, changes: dict[str, str], message: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        Archive.from_uri(uri, {**GOOD, **changes})
    assert message in str(caught.value)
    assert_one_plain_line(caught.value)
    assert "of-the-test" not in str(caught.value)


def assert_one_plain_line(error: ArchiveError) -> None:
    text = str(error)
    assert "\n" not in text
    assert len(text) < 400
    for noise in ("<?xml", "Debug source", "Error performing", "Generic", "None"):
        assert noise not in text
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
