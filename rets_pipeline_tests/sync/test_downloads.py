"""One image over HTTP: what is loaded, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rets_pipeline.settings import PhotoSettings
from rets_pipeline.sync import downloads, exchanges, hosts, received
from rets_pipeline.sync.downloads import (
    Downloader,
    ImageAbsent,
    ImagePostponed,
    ImageRefused,
    ImageUnchanged,
    Validators,
)
from rets_pipeline.sync.received import Received
from rets_pipeline_tests.patience import PATIENCE
from rets_pipeline_tests.sync.image_server import Answer, ImageServer, image_server, jpeg, jpeg_of

SECRET = "hunter2"
PICTURE = jpeg("a picture")


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with image_server() as found:
        yield found


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits between repetitions."""
    monkeypatch.setattr(hosts, "FIRST_PAUSE", 0.001)


class Loader:
    """A downloader for tests that are no coroutines."""

    def __init__(self, **settings: Any) -> None:
        values = {"hosts": ("127.0.0.1",), "allow_private_addresses": True, **settings}
        self.downloader = Downloader(PhotoSettings.model_validate(values), "tests/1.0")
        self.runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self.runner.run(self.downloader.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.run(self.downloader.__aexit__())
        self.runner.close()

    @property
    def requests(self) -> int:
        return self.downloader.requests

    def get(self, url: str, held: Validators | None = None) -> Received:
        return self.runner.run(self.downloader.get(url, held))

    def data(self, url: str) -> bytes:
        with self.get(url) as received:
            content = received.content()
            return content if isinstance(content, bytes) else content.read()


def refusal(url: str, **settings: Any) -> str:
    with Loader(**settings) as loader, pytest.raises(ImageRefused) as caught:
        loader.get(url)
    message = str(caught.value)
    assert SECRET not in message
    assert "\n" not in message
    return message


def test_an_image(server: ImageServer) -> None:
    server.answers["/1.jpg"] = Answer(
        PICTURE, headers={"ETag": '"1"', "Last-Modified": "Sun, 01 Mar 2026 12:00:00 GMT"}
    )
    with Loader() as loader:
        image = loader.get(server.url("/1.jpg"))
        assert loader.requests == 1
    assert (image.content(), image.bytes, image.etag) == (PICTURE, len(PICTURE), '"1"')
    assert image.last_modified == "Sun, 01 Mar 2026 12:00:00 GMT"
    assert server.headers_seen["user-agent"] == "tests/1.0"
    assert server.headers_seen["accept"] == "image/*"
    assert server.headers_seen["accept-encoding"] == "identity"  # so that its length tells
    assert not {"authorization", "cookie", "if-none-match"} & server.headers_seen.keys()


@pytest.mark.parametrize("status", [404, 410])
def test_an_absent_image(server: ImageServer, status: int) -> None:
    server.answers["/1.jpg"] = Answer(PICTURE, status=status)
    with (
        Loader() as loader,
        pytest.raises(ImageAbsent, match=f"127.0.0.1/1.jpg: HTTP {status}"),
    ):
        loader.get(server.url("/1.jpg"))


@pytest.mark.parametrize("size", [1_000, 1_000_000])
def test_an_absent_image_with_a_message_that_does_not_end(server: ImageServer, size: int) -> None:
    server.answers["/1.jpg"] = Answer(b"x" * size, status=404, length=10**12)
    server.answers["/2.jpg"] = Answer(PICTURE)
    with Loader() as loader:
        with pytest.raises(ImageAbsent):
            loader.get(server.url("/1.jpg"))
        assert loader.data(server.url("/2.jpg")) == PICTURE


@pytest.mark.parametrize(
    ("answer", "requests"),
    [
        (Answer(status=404, length=345), 1),
        (Answer(status=403, length=345), 1),
        (Answer(status=302, headers={"Location": "/good.jpg"}, length=345), 2),
        (Answer(status=503, headers={"Retry-After": "3600"}, length=345), 1),
    ],
    ids=["404", "403", "302", "503"],
)
def test_a_status_counts_whatever_becomes_of_its_body(
    server: ImageServer, answer: Answer, requests: int
) -> None:
    server.answers["/1.jpg"] = answer
    server.answers["/good.jpg"] = Answer(PICTURE)
    with Loader() as loader:
        if answer.status == 302:
            assert loader.data(server.url("/1.jpg")) == PICTURE
        else:
            with pytest.raises((ImageAbsent, ImageRefused), match=f"HTTP {answer.status}"):
                loader.get(server.url("/1.jpg"))
        assert sum(server.asked.values()) == requests


@pytest.mark.parametrize("status", [204, 206, 304, 401, 403, 429, 500, 503])
def test_any_other_status_is_a_failure(server: ImageServer, status: int) -> None:
    body = b"" if status in (204, 304) else PICTURE
    server.answers["/1.jpg"] = Answer(body, status=status)
    assert refusal(server.url("/1.jpg")) == f"127.0.0.1/1.jpg: HTTP {status}"


def test_too_large(server: ImageServer) -> None:
    server.answers["/exact"] = Answer(jpeg_of(2_000))
    server.answers["/more"] = Answer(jpeg_of(2_001))
    server.answers["/endless"] = Answer(jpeg("x" * 200_000), length=10**12)
    with Loader(max_bytes=2_000) as loader:
        assert len(loader.data(server.url("/exact"))) == 2_000
    for path in ("/more", "/endless"):
        assert refusal(server.url(path), max_bytes=2_000).endswith(": larger than 2000 bytes")


def test_a_packed_body_is_unpacked_and_measured_unpacked(server: ImageServer) -> None:
    packed = {"Content-Encoding": "gzip"}
    server.answers["/1.jpg"] = Answer(gzip.compress(PICTURE), headers=packed)
    server.answers["/bomb"] = Answer(gzip.compress(jpeg("x" * 3_000_000)), headers=packed)
    server.answers["/spoiled"] = Answer(b"nonsense" + gzip.compress(PICTURE)[8:], headers=packed)
    with Loader() as loader:
        assert loader.data(server.url("/1.jpg")) == PICTURE
    assert "larger than" in refusal(server.url("/bomb"), max_bytes=10_000)
    assert refusal(server.url("/spoiled")).startswith("127.0.0.1/spoiled: ")


@pytest.mark.parametrize("label", ["binary", "utf-8", "identity", "image/jpeg"])
def test_a_label_that_is_no_packing_does_no_harm(server: ImageServer, label: str) -> None:
    """A usual mistake of whoever puts images into a bucket; browsers show them."""
    server.answers["/1.jpg"] = Answer(PICTURE, headers={"Content-Encoding": label})
    with Loader() as loader:
        assert loader.data(server.url("/1.jpg")) == PICTURE
        assert loader.requests == 1


@pytest.mark.parametrize("packed", [False, True])
def test_a_body_that_breaks_off(server: ImageServer, packed: bool) -> None:
    body = gzip.compress(PICTURE) if packed else PICTURE
    headers = {"Content-Encoding": "gzip"} if packed else {}
    server.answers["/1.jpg"] = Answer(body[:-2], headers=headers, length=len(body))
    assert refusal(server.url("/1.jpg")).startswith("127.0.0.1/1.jpg: ")


# Where images may come from -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "patterns", "allowed"),
    [
        ("cdn.example.com", ["cdn.example.com"], True),
        ("CDN.Example.COM", ["cdn.example.com"], True),
        ("cdn.example.com", ["CDN.example.com"], True),
        ("cdn.example.com", ["*.example.com"], True),
        ("a.b.example.com", ["*.example.com"], True),
        ("example.com", ["*.example.com"], False),
        ("evilexample.com", ["*.example.com"], False),
        ("example.com.evil.test", ["*.example.com", "example.com"], False),
        ("other.test", [], False),
        ("other.test", ["*"], False),
    ],
)
def test_hosts(host: str, patterns: list[str], allowed: bool) -> None:
    assert any(downloads._matches(host.lower(), pattern.lower()) for pattern in patterns) is allowed
    if not allowed:
        message = refusal(f"http://{host}/1.jpg", hosts=patterns)
        assert message == f"{host}/1.jpg: the host is not among photos.hosts of the feed"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/1.jpg",
        "file:///etc/passwd",
        "//127.0.0.1/1.jpg",
        "http:///1.jpg",
        "1.jpg",
        "",
        "javascript:alert(1)",
    ],
)
def test_addresses_that_are_not_http(url: str) -> None:
    assert refusal(url).endswith(": not an http(s) address")


@pytest.mark.parametrize(
    "url",
    [
        "http://[127.0.0.1/1.jpg",
        "http://127.0.0.1:port/1.jpg",
        "http://127.0.0.1:99999/1.jpg",
        f"http://user:{SECRET}@[::1/1.jpg",
        "http://" + "a" * 70 + ".example.com/1.jpg",
        "http://a..example.com/1.jpg",
        "http://.example.com/1.jpg",
        "http://\u2603\u2603.example.com/1.jpg",
        "http://exa mple.example.com/1.jpg",
        "http://xn--a.example.com/\x00",
        "http://2130706433/1.jpg",
        "http://0x7f.1/1.jpg",
        "http://127.0.0.1\\@10.0.0.1/1.jpg",
        "http://10.0.0.1\\@127.0.0.1/1.jpg",
    ],
)
@pytest.mark.parametrize("private", [True, False])
def test_addresses_that_are_none_are_refused_and_end_no_run(url: str, private: bool) -> None:
    """Whatever stands in a payload, the other images go on."""
    refusal(
        url,
        hosts=["127.0.0.1", "*.example.com", "2130706433", "0x7f.1"],
        allow_private_addresses=private,
    )


def test_literal_addresses_of_version_6(server: ImageServer) -> None:
    """A zone may say anything, and libcurl connects whatever it says."""
    server.answers["/1.jpg"] = Answer(PICTURE)
    mapped = "::ffff:127.0.0.1"
    with Loader(hosts=[mapped, "*.example.com", "*"]) as loader:
        assert loader.data(server.url("/1.jpg", host=f"[{mapped}]")) == PICTURE
        server.asked.clear()
        for odd in (f"{mapped}%x.example.com", f"{mapped}%25x.example.com", f"{mapped}%251",
                    "::1%é.example.com", "v1.x:y.example.com"):  # fmt: skip
            url = server.url("/1.jpg", host=f"[{odd}]")
            server.answers["/2.jpg"] = Answer(status=302, headers={"Location": url})
            for asked in (url, server.url("/2.jpg")):
                with pytest.raises(ImageRefused):
                    loader.get(asked)
    assert set(server.asked) <= {"/2.jpg"}


def test_an_address_that_only_the_library_finds_impossible_is_no_fault_of_its_host(
    server: ImageServer,
) -> None:
    server.answers["/1.jpg"] = Answer(PICTURE)
    with Loader() as loader:
        for number in range(25):
            with pytest.raises(ImageRefused, match="such an address is impossible"):
                loader.get(f"http://u%00@127.0.0.1:{server.port}/{number}.jpg")
        assert loader.data(server.url("/1.jpg")) == PICTURE
    assert set(server.asked) == {"/1.jpg"}


def judged(downloader: Downloader, url: str) -> tuple[str, str | None] | None:
    """The host whose turn an address waits for, and the one that is asked; None: refused."""
    try:
        host, target = downloader._host(url)
    except ImageRefused:
        return None
    (name,) = (name for name, found in downloader._hosts.items() if found is host)
    return name, target.raw_host


@given(
    st.lists(
        st.builds(
            "{}{}/{}".format,
            st.sampled_from(["http://", "https://", "http:\t//", " http://", "ftp://", ""]),
            st.lists(st.sampled_from([*"ab.@:?#\\[] \t\n%2", "a.example.com"])).map("".join),
            st.text("ab/?#@:\\ \t[]%\ud800", max_size=6),
        ),
        max_size=20,
    )
)
def test_what_was_asked_for_before_decides_nothing(urls: list[str]) -> None:
    """What is known of an address by its beginning is what it would be judged by itself."""
    photos = PhotoSettings(hosts=("*.example.com", "a", "b"))
    one = Downloader(photos, "tests/1.0")
    for url in urls:
        assert judged(one, url) == judged(Downloader(photos, "tests/1.0"), url), url


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.1.2.3", "192.168.0.1", "169.254.169.254", "[::1]", "0.0.0.0",
     "172.16.0.1", "100.64.0.1", "[::ffff:127.0.0.1]", "[fe80::1]", "[fd00::1]",
     "224.0.0.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "[64:ff9b:1::7f00:1]", "[fec0::1]",
     "[::10.1.2.3]", "[::ffff:0:10.1.2.3]"],
)  # fmt: skip
def test_private_addresses_are_for_those_who_allow_them(host: str) -> None:
    name = host.strip("[]")
    message = refusal(f"http://{host}:9/1.jpg", hosts=[name], allow_private_addresses=False)
    assert message == f"{name}/1.jpg: the host is on a private network"


def test_a_name_that_means_something_else_the_next_time(
    server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: what counts is where the connection goes, not what a look-up said before."""
    plain = socket.getaddrinfo

    def public(host: str, *more: Any, **named: Any) -> Any:
        return plain("93.184.216.34" if host == "rebinding.localhost" else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", public)
    assert socket.getaddrinfo("rebinding.localhost", 80)[0][4][0] == "93.184.216.34"
    url = server.url("/1.jpg", host="rebinding.localhost")
    message = refusal(url, hosts=["*.localhost"], allow_private_addresses=False)
    assert message == "rebinding.localhost/1.jpg: the host is on a private network"
    assert server.asked == {}


def test_a_redirect_to_where_images_may_come_from(server: ImageServer) -> None:
    server.answers["/a"] = Answer(status=302, headers={"Location": "/b"})
    server.answers["/b"] = Answer(status=301, headers={"Location": server.url("/c")})
    server.answers["/c"] = Answer(status=307, headers={"Location": "d.jpg"})
    server.answers["/d.jpg"] = Answer(PICTURE)
    with Loader() as loader:
        assert loader.data(server.url("/a")) == PICTURE
        assert loader.requests == 4


def test_redirects_elsewhere(server: ImageServer) -> None:
    for number, target in enumerate(
        (
            server.url("/secret", host="localhost"),
            "http://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
            f"http://user:{SECRET}@localhost:{server.port}/?key={SECRET}",
            "http://[broken",
            "//localhost/x",
        )
    ):
        server.answers[f"/{number}"] = Answer(status=302, headers={"Location": target})
        refusal(server.url(f"/{number}"))
    assert set(server.asked) == {f"/{number}" for number in range(6)}  # and nothing elsewhere


def test_a_redirect_from_a_public_name_into_the_private_network(
    server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_is_public", lambda address: address != "127.0.0.2")
    server.answers["/1.jpg"] = Answer(
        status=302, headers={"Location": server.url("/x", host="127.0.0.2")}
    )
    message = refusal(
        server.url("/1.jpg"), hosts=["127.0.0.1", "127.0.0.2"], allow_private_addresses=False
    )
    assert message == "127.0.0.2/x: the host is on a private network"
    assert set(server.asked) == {"/1.jpg"}


def test_redirects_in_a_circle(server: ImageServer) -> None:
    server.answers["/a"] = Answer(status=302, headers={"Location": "/a"})
    assert refusal(server.url("/a")) == "127.0.0.1/a: more than 3 redirects"
    assert server.asked["/a"] == 4


def test_a_redirect_without_a_target(server: ImageServer) -> None:
    server.answers["/a"] = Answer(status=302)
    assert refusal(server.url("/a")) == "127.0.0.1/a: HTTP 302"


# The line, and secrets ----------------------------------------------------------------------------


def test_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert refusal(f"http://127.0.0.1:{port}/1.jpg") == (
        "127.0.0.1/1.jpg: the host refuses connections"
    )


def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "_SILENCE_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert refusal(f"http://127.0.0.1:{port}/1.jpg").endswith(": silence for 1 s")


def test_a_server_that_sends_a_byte_now_and_then(server: ImageServer) -> None:
    """Each byte comes soon enough for the time-out of silence, and the image never."""
    stop = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(10_000)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stop.wait(0.02):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/1.jpg"
        assert refusal(url, timeout_seconds=0.2) == "127.0.0.1/1.jpg: not here after 0.2 s"
        stop.set()
        thread.join()


def test_whoever_waits_for_its_turn_is_not_too_slow(server: ImageServer) -> None:
    """The time of a request begins with it, however long the host lets others wait."""

    def slowly(path: str) -> Answer:
        time.sleep(0.1)
        return Answer(PICTURE)

    server.fallback = slowly

    async def many(loader: Loader) -> None:
        urls = [server.url(f"/{number}") for number in range(6)]
        await asyncio.gather(*(loader.downloader.get(url) for url in urls))

    with Loader(connections_per_host=1, timeout_seconds=0.4) as loader:
        loader.runner.run(many(loader))
        assert loader.requests == 6


def test_bytes_without_end_behind_a_packed_body(server: ImageServer) -> None:
    """What is unpacked stays small, so no limit of size would ever be reached."""
    gone = threading.Event()

    def pour(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(10_000)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
            connection.sendall(gzip.compress(PICTURE))
            while True:
                connection.sendall(b"x" * 65_536)
        gone.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=pour, args=(listener,), daemon=True)
        thread.start()
        with Loader(timeout_seconds=5) as loader:
            assert loader.data(f"http://127.0.0.1:{listener.getsockname()[1]}/1.jpg") == PICTURE
            assert gone.wait(PATIENCE)
        thread.join()


def test_a_body_with_a_length_and_in_chunks(server: ImageServer) -> None:
    """The length is a lie; what comes is bounded all the same."""
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    server.answers["/1.jpg"] = Answer(
        chunk * 20 + b"0\r\n\r\n", headers={"Transfer-Encoding": "chunked"}, length=10
    )
    message = refusal(server.url("/1.jpg"), max_bytes=100_000)
    assert "larger than" in message or "broke" in message


def test_a_disk_that_is_full_is_no_fault_of_the_host(
    server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(received, "IN_MEMORY", 10_000)
    monkeypatch.setattr(received.tempfile, "TemporaryFile", full)
    server.answers["/1.jpg"] = Answer(jpeg_of(300_000))
    with Loader() as loader, pytest.raises(received.NoRoom, match="No space left"):
        loader.get(server.url("/1.jpg"))
    assert server.asked["/1.jpg"] == 1


def test_a_server_that_talks_nonsense() -> None:
    def answer(listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                if not connection.recv(10_000):
                    return
                connection.sendall(b"\x00\xff nonsense " * 100)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        port = listener.getsockname()[1]
        assert "the connection broke" in refusal(f"http://127.0.0.1:{port}/1.jpg")
        socket.create_connection(("127.0.0.1", port)).close()
        thread.join()


@pytest.mark.parametrize("path", ["/absent", "/failing", "/large", "/redirect"])
def test_no_message_holds_what_is_secret_in_an_address(server: ImageServer, path: str) -> None:
    address = f"http://user:{SECRET}@127.0.0.1:{server.port}"
    server.answers[f"/failing?key={SECRET}"] = Answer(status=500)
    server.answers[f"/large?key={SECRET}"] = Answer(jpeg_of(3_000))
    server.answers[f"/redirect?key={SECRET}"] = Answer(
        status=302, headers={"Location": f"{address}/large?key={SECRET}"}
    )
    with (
        Loader(max_bytes=2_000) as loader,
        pytest.raises((ImageAbsent, ImageRefused)) as caught,
    ):
        loader.get(f"{address}{path}?key={SECRET}#{SECRET}")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_netrc_sends_no_password(
    server: ImageServer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login user password {SECRET}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    server.answers["/1.jpg"] = Answer(PICTURE)
    with Loader() as loader:
        loader.get(server.url("/1.jpg"))
    assert "authorization" not in server.headers_seen


# Again, and politely ------------------------------------------------------------------------------


def test_a_fault_of_the_host_is_asked_for_again(server: ImageServer) -> None:
    faults = [Answer(status=503), Answer(PICTURE[:-5], length=len(PICTURE)), Answer(PICTURE)]
    server.fallback = lambda path: faults.pop(0)
    with Loader() as loader:
        assert loader.data(server.url("/1.jpg")) == PICTURE
        assert loader.requests == 3


@pytest.mark.parametrize(
    ("status", "requests"), [(503, 3), (500, 3), (522, 3), (429, 3), (403, 1), (404, 1)]
)
def test_an_image_is_asked_for_three_times_at_most(
    server: ImageServer, status: int, requests: int
) -> None:
    server.answers["/1.jpg"] = Answer(status=status)
    with Loader() as loader:
        with pytest.raises((ImageRefused, ImageAbsent)):
            loader.get(server.url("/1.jpg"))
        assert loader.requests == requests


def test_retry_after_holds_for_every_request_to_the_host(server: ImageServer) -> None:
    server.answers["/2.jpg"] = Answer(PICTURE)
    busy = [Answer(status=429, headers={"Retry-After": "1"}), Answer(PICTURE)]
    server.fallback = lambda path: busy.pop(0)

    async def both(loader: Loader) -> float:
        first = asyncio.create_task(loader.downloader.get(server.url("/1.jpg")))
        while not server.asked:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        began = time.monotonic()
        await loader.downloader.get(server.url("/2.jpg"))
        await first
        return time.monotonic() - began

    with Loader() as loader:
        assert loader.runner.run(both(loader)) > 0.5


def test_a_host_that_wants_to_be_left_in_peace_for_long_is(server: ImageServer) -> None:
    server.answers["/1.jpg"] = Answer(status=503, headers={"Retry-After": "3600"})
    with Loader() as loader:
        with pytest.raises(ImageRefused, match="HTTP 503") as refused:
            loader.get(server.url("/1.jpg"))
        assert refused.value.retry_after == 3600
        with pytest.raises(ImagePostponed):
            loader.get(server.url("/2.jpg"))
        assert loader.requests == 1
        assert loader.downloader.hosts_left_alone == [f"127.0.0.1:{server.port}"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=500),
        Answer(status=522),
        Answer(status=403),  # it has had enough of us
        Answer(PICTURE[:-2], length=len(PICTURE)),  # a good beginning each time
    ],
    ids=["500", "522", "403", "cut"],
)
def test_a_host_that_only_fails_is_left_alone(
    server: ImageServer, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr(hosts, "FAILURES_IN_A_ROW", 5)
    server.fallback = lambda path: answer
    with Loader() as loader:
        for number in range(6):
            with pytest.raises((ImageRefused, ImagePostponed)):
                loader.get(server.url(f"/{number}.jpg"))
        assert loader.requests == 5


def test_failures_between_successes_do_no_harm(
    server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "FAILURES_IN_A_ROW", 4)
    server.answers["/good"] = Answer(PICTURE)
    server.answers["/bad"] = Answer(status=500)
    with Loader() as loader:
        for _ in range(3):
            with pytest.raises(ImageRefused):
                loader.get(server.url("/bad"))
            assert loader.data(server.url("/good")) == PICTURE


def test_a_host_gets_no_more_at_a_time_than_it_shall(server: ImageServer) -> None:
    guard, now, most = threading.Lock(), [0], [0]

    def slowly(path: str) -> Answer:
        with guard:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with guard:
            now[0] -= 1
        return Answer(PICTURE)

    server.fallback = slowly

    async def many(loader: Loader) -> None:
        urls = [server.url(f"/{number}") for number in range(9)]
        await asyncio.gather(*(loader.downloader.get(url) for url in urls))

    with Loader(connections_per_host=2) as loader:
        loader.runner.run(many(loader))
    assert most == [2]


def test_a_host_gets_no_more_in_a_second_than_it_shall(server: ImageServer) -> None:
    server.fallback = lambda path: Answer(PICTURE)
    began = time.monotonic()
    with Loader(requests_per_second=50) as loader:
        for number in range(6):
            loader.get(server.url(f"/{number}"))
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize("name", ["If-None-Match", "If-Modified-Since"])
def test_what_is_held_is_not_sent_again(server: ImageServer, name: str) -> None:
    server.answers["/1.jpg"] = Answer(status=304)
    held = Validators('"7"') if name == "If-None-Match" else Validators(None, "yesterday")
    with Loader() as loader, pytest.raises(ImageUnchanged):
        loader.get(server.url("/1.jpg"), held)
    assert server.headers_seen[name.lower()] in ('"7"', "yesterday")


def test_a_large_image_goes_through_a_file(
    server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(received, "IN_MEMORY", 10_000)
    data = jpeg_of(300_000)
    server.answers["/1.jpg"] = Answer(data)
    with Loader() as loader, loader.get(server.url("/1.jpg")) as image:
        picture = image.picture()
        content = image.content()
        assert not isinstance(content, bytes)
        assert content.read() == data
    assert (picture.bytes, picture.width, picture.height) == (300_000, 8, 6)
    assert picture.content_hash == hashlib.sha256(data).hexdigest()
    assert content.closed


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 120 ", 120),
        ("0", 0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("-1", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("9" * 400, 999_999_999),
        ("Sun, 01 Mar 99999999999999999999 12:00:00 GMT", None),
        ("Sun, 01 Mar 2026 12:00:00 +99999999", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert hosts.retry_after(value, datetime(2026, 3, 1, 12, tzinfo=UTC)) == seconds
