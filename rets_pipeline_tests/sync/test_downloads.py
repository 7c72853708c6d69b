"""One image over HTTP: what is loaded, and what is refused."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rets_pipeline.settings import PhotoSettings
from rets_pipeline.sync import downloads
from rets_pipeline.sync.downloads import Downloader, ImageAbsent, ImageRefused
from rets_pipeline_tests.sync.image_server import Answer, ImageServer, image_server, jpeg

SECRET = "hunter2"
PICTURE = jpeg("a picture")


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with image_server() as found:
        yield found


def downloader(**settings: Any) -> Downloader:
    values = {"hosts": ("127.0.0.1",), "allow_private_addresses": True, **settings}
    return Downloader(PhotoSettings.model_validate(values), "tests/1.0")


def refusal(url: str, **settings: Any) -> str:
    with downloader(**settings) as loader, pytest.raises(ImageRefused) as caught:
        loader.get(url)
    message = str(caught.value)
    assert SECRET not in message
    assert "\n" not in message
    return message


def test_an_image(server: ImageServer) -> None:
    server.answers["/1.jpg"] = Answer(PICTURE, headers={"Content-Type": "text/plain"})
    with downloader() as loader:
        image = loader.get(server.url("/1.jpg"))
        assert loader.requests == 1
    assert (image.data, image.extension, image.content_type) == (PICTURE, "jpg", "image/jpeg")
    assert server.headers_seen["user-agent"] == "tests/1.0"
    assert server.headers_seen["accept"] == "image/*"
    assert server.headers_seen["accept-encoding"] == "identity"  # so that its length tells
    assert "authorization" not in server.headers_seen


@pytest.mark.parametrize(
    ("data", "extension", "content_type"),
    [
        (b"\xff\xd8\xff\xdb", "jpg", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n....", "png", "image/png"),
        (b"GIF87a....", "gif", "image/gif"),
        (b"GIF89a....", "gif", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "webp", "image/webp"),
    ],
)
def test_the_bytes_say_what_it_is(
    server: ImageServer, data: bytes, extension: str, content_type: str
) -> None:
    server.answers["/x"] = Answer(data)
    with downloader() as loader:
        image = loader.get(server.url("/x"))
    assert (image.extension, image.content_type) == (extension, content_type)


@pytest.mark.parametrize(
    "data",
    [
        b"<html>Object reference not set to an instance of an object</html>",
        b"",
        b"\xff\xd8",
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        b"<svg/>",
        b"%PDF-1.7",
    ],
)
def test_what_is_no_image_is_refused_whatever_the_server_calls_it(
    server: ImageServer, data: bytes
) -> None:
    server.answers["/1.jpg"] = Answer(data, headers={"Content-Type": "image/jpeg"})
    assert refusal(server.url("/1.jpg")) == (
        f"127.0.0.1/1.jpg: the {len(data)} bytes are not an image"
    )


@pytest.mark.parametrize("status", [404, 410])
def test_an_absent_image(server: ImageServer, status: int) -> None:
    server.answers["/1.jpg"] = Answer(PICTURE, status=status)
    with (
        downloader() as loader,
        pytest.raises(ImageAbsent, match=f"127.0.0.1/1.jpg: HTTP {status}"),
    ):
        loader.get(server.url("/1.jpg"))


@pytest.mark.parametrize("status", [204, 206, 304, 401, 403, 429, 500, 503])
def test_any_other_status_is_a_failure(server: ImageServer, status: int) -> None:
    body = b"" if status in (204, 304) else PICTURE
    server.answers["/1.jpg"] = Answer(body, status=status)
    assert refusal(server.url("/1.jpg")) == f"127.0.0.1/1.jpg: HTTP {status}"


def test_too_large(server: ImageServer) -> None:
    server.answers["/exact"] = Answer(jpeg("x" * (2_000 - 4)))
    server.answers["/more"] = Answer(jpeg("x" * (2_000 - 3)))
    server.answers["/endless"] = Answer(jpeg("x" * 200_000), length=10**12)
    with downloader(max_bytes=2_000) as loader:
        assert len(loader.get(server.url("/exact")).data) == 2_000
    for path in ("/more", "/endless"):
        assert refusal(server.url(path), max_bytes=2_000).endswith(": larger than 2000 bytes")


def test_a_packed_body_is_unpacked_and_measured_unpacked(server: ImageServer) -> None:
    packed = {"Content-Encoding": "gzip"}
    server.answers["/1.jpg"] = Answer(gzip.compress(PICTURE), headers=packed)
    server.answers["/bomb"] = Answer(gzip.compress(jpeg("x" * 3_000_000)), headers=packed)
    server.answers["/spoiled"] = Answer(b"nonsense" + gzip.compress(PICTURE)[8:], headers=packed)
    with downloader() as loader:
        assert loader.get(server.url("/1.jpg")).data == PICTURE
    assert "larger than" in refusal(server.url("/bomb"), max_bytes=10_000)
    assert refusal(server.url("/spoiled")).startswith("127.0.0.1/spoiled: ")


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
    ],
)
@pytest.mark.parametrize("private", [True, False])
def test_addresses_that_are_none_are_refused_and_end_no_run(url: str, private: bool) -> None:
    """Whatever stands in a payload, the other images go on."""
    refusal(url, hosts=["127.0.0.1", "*.example.com"], allow_private_addresses=private)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.1.2.3", "192.168.0.1", "169.254.169.254", "[::1]", "0.0.0.0",
     "172.16.0.1", "100.64.0.1", "[::ffff:127.0.0.1]", "[fe80::1]", "[fd00::1]", "2130706433"],
)  # fmt: skip
def test_private_addresses_are_for_those_who_allow_them(host: str) -> None:
    name = host.strip("[]")
    message = refusal(f"http://{host}:9/1.jpg", hosts=[name], allow_private_addresses=False)
    assert message == f"{name}/1.jpg: the host is on a private network"


def test_a_redirect_to_where_images_may_come_from(server: ImageServer) -> None:
    server.answers["/a"] = Answer(status=302, headers={"Location": "/b"})
    server.answers["/b"] = Answer(status=301, headers={"Location": server.url("/c")})
    server.answers["/c"] = Answer(status=307, headers={"Location": "d.jpg"})
    server.answers["/d.jpg"] = Answer(PICTURE)
    with downloader() as loader:
        assert loader.get(server.url("/a")).data == PICTURE
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


def test_a_redirect_from_a_public_name_into_the_private_network(server: ImageServer) -> None:
    server.answers["/1.jpg"] = Answer(status=302, headers={"Location": "http://localhost/x"})
    with downloader(hosts=["127.0.0.1", "localhost"]) as loader:
        loader._photos = loader._photos.model_copy(update={"allow_private_addresses": False})
        with pytest.raises(ImageRefused, match="private network"):
            loader.get(server.url("/1.jpg"))
    assert server.asked == {}


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
    assert refusal(f"http://127.0.0.1:{port}/1.jpg") == "127.0.0.1/1.jpg: ConnectionError"


def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "_TIMEOUT", (1, 0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "Timeout" in refusal(f"http://127.0.0.1:{port}/1.jpg")


def test_a_server_that_talks_nonsense() -> None:
    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(10_000)
            connection.sendall(b"\x00\xff nonsense " * 100)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        refusal(f"http://127.0.0.1:{listener.getsockname()[1]}/1.jpg")
        thread.join()


@pytest.mark.parametrize("path", ["/absent", "/failing", "/text", "/redirect"])
def test_no_message_holds_what_is_secret_in_an_address(server: ImageServer, path: str) -> None:
    address = f"http://user:{SECRET}@127.0.0.1:{server.port}"
    server.answers[f"/failing?key={SECRET}"] = Answer(status=500)
    server.answers[f"/text?key={SECRET}"] = Answer(b"text")
    server.answers[f"/redirect?key={SECRET}"] = Answer(
        status=302, headers={"Location": f"{address}/text?key={SECRET}"}
    )
    with downloader() as loader, pytest.raises((ImageAbsent, ImageRefused)) as caught:
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
    with downloader() as loader:
        loader.get(server.url("/1.jpg"))
    assert "authorization" not in server.headers_seen
