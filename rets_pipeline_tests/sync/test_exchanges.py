"""HTTP exchanges through libcurl: over sockets whose every byte a test writes."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pycurl
import pytest
import trustme

from rets_pipeline.sync import exchanges
from rets_pipeline.sync.exchanges import (
    AddressImpossible,
    AddressRefused,
    Broken,
    Client,
    Enough,
    Head,
    TooSlow,
)
from rets_pipeline.sync.sockets import Sockets
from rets_pipeline_tests.patience import PATIENCE

BODY = bytes(range(256)) * 400
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
SECRET = "hunter2"
NOTHING: Mapping[str, str] = {}
CONDITION = {"If-None-Match": '"1"'}
Got = tuple[Head, bytes]
Talk = Callable[[socket.socket], None]


class Server:
    """Whoever connects is talked to as a test wants, each in a thread of its own.

    Attributes:
        requests: what was asked, to the end of its head.
        connections: how many there were.
    """

    def __init__(self, talk: Talk | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._talk = talk or self.serve
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: list[socket.socket] = []

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/1.jpg"

    def request(self, connection: socket.socket) -> bytes:
        """The next one; nothing at the end."""
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            piece = connection.recv(1)
            if not piece:
                return b""
            asked += piece
        self.requests.append(asked)
        return asked

    def serve(self, connection: socket.socket) -> None:
        """The body, again and again."""
        while self.request(connection):
            connection.sendall(WHOLE)

    def run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                self._talk(connection)

    def stop(self) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextmanager
def serving(talk: Talk | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(talk, tls)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def client(seconds: float = PATIENCE, **more: Any) -> Client:
    return Client({"User-Agent": "tests/1.0"}, seconds, more.get("may", lambda address: True))


class Taken:
    """Takes every body, or raises something instead."""

    def __init__(self, raised: Exception | None = None) -> None:
        self.raised = raised
        self.pieces: list[bytes] = []

    def begin(self, head: Head) -> bool:
        return True

    def write(self, piece: bytes) -> None:
        if self.raised is not None:
            raise self.raised
        self.pieces.append(piece)


class Unwanted(Taken):
    """Wants none."""

    def begin(self, head: Head) -> bool:
        return False


async def got(source: Client, url: str, headers: Mapping[str, str] = NOTHING) -> Got:
    taken = Taken()
    head = await source.get(url, headers, taken)
    return head, b"".join(taken.pieces)


def run(work: Callable[[Client], Coroutine[Any, Any, Any]], source: Client | None = None) -> Any:
    async def within() -> Any:
        async with source or client() as opened:
            return await work(opened)

    return asyncio.run(within())


def failure(url: str, source: Client | None = None) -> Broken:
    with pytest.raises(Broken) as caught:
        run(lambda opened: got(opened, url), source)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


def saying(*answers: bytes) -> Talk:
    """A connection on which each request gets the next answer; then it ends."""

    def talk(connection: socket.socket) -> None:
        for answer in answers:
            while not connection.recv(65_536).endswith(b"\r\n\r\n"):
                pass
            connection.sendall(answer)

    return talk


def test_many_at_a_time_on_connections_that_are_kept() -> None:
    async def many(source: Client) -> list[Got]:
        async def some() -> list[Got]:
            return [await got(source, server.url) for _ in range(50)]

        return [one for found in await asyncio.gather(*(some() for _ in range(8))) for one in found]

    with serving() as server:
        found = run(many)
    assert [(head.status, body) for head, body in found] == [(200, BODY)] * 400
    assert server.connections <= 8
    assert all(asked.startswith(b"GET /1.jpg HTTP/1.1\r\n") for asked in server.requests)


def test_nothing_is_left() -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    async def some(source: Client) -> None:
        tasks = [asyncio.create_task(got(source, server.url)) for _ in range(20)]
        await asyncio.sleep(0.01)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not tell which files are open")
    with serving() as server:
        run(some)
    before = opened()
    for _ in range(5):
        with serving() as server:
            run(some)
    assert opened() <= before


@pytest.mark.parametrize("phase", ["before", "asked", "head", "body"])
def test_a_cancelled_exchange_leaves_nothing_to_the_next(phase: str) -> None:
    reached = threading.Event()

    def talk(connection: socket.socket) -> None:
        if not server.connections > 1:
            server.request(connection)
            sent = {"asked": 0, "head": WHOLE.find(b"\r\n\r\n"), "body": 1_000}.get(phase, 0)
            connection.sendall(WHOLE[:sent])
            reached.set()
            connection.recv(1)
        else:
            server.serve(connection)

    async def twice(source: Client) -> Got:
        task = asyncio.create_task(got(source, server.url, CONDITION))
        await asyncio.sleep(0)
        if phase != "before":
            assert await asyncio.to_thread(reached.wait, PATIENCE)
            await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if phase == "before":
            server.connections = 1
        return await got(source, server.url)

    with serving(talk) as server:
        head, body = run(twice)
    assert (head.status, body) == (200, BODY)
    assert b"if-none-match" not in server.requests[-1].lower()


@pytest.mark.parametrize("raised", [KeyError("why"), Enough()], ids=["error", "enough"])
def test_what_takes_the_body_may_end_the_exchange(raised: Exception) -> None:
    async def thrice(source: Client) -> list[bytes]:
        first = await got(source, server.url)
        if isinstance(raised, Enough):
            assert (await source.get(server.url, CONDITION, Taken(raised))).status == 200
        else:
            with pytest.raises(KeyError, match="why"):
                await source.get(server.url, CONDITION, Taken(raised))
        return [first[1], (await got(source, server.url))[1]]

    with serving() as server:
        assert run(thrice) == [BODY, BODY]
    assert [b"If-None-Match" in asked for asked in server.requests] == [False, True, False]


def test_a_head() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nETag: early\r\n\r\n"
    answer = (
        b'HTTP/1.1 200 OK\r\netag:  "1" \r\nETag: "2"\r\nContent-Length: 2\r\n'
        b"X-Place: caf\xc3\xa9\r\nX-Odd: \xff\r\nHTTP/1.1 404: no\r\n\r\nab"
    )
    with serving(saying(hints + answer)) as server:
        head, body = run(lambda source: got(source, server.url))
    assert (head.status, body) == (200, b"ab")
    assert head.headers == {
        "etag": '"1"', "content-length": "2", "x-place": "café", "x-odd": "\udcff",
        "http/1.1 404": "no",
    }  # fmt: skip


@pytest.mark.parametrize("line", [b"HTTP/1.1 200OK", b"http/1.0 200"])
def test_status_lines(line: bytes) -> None:
    with serving(saying(line + b"\r\nContent-Length: 2\r\n\r\nab")) as server:
        head, body = run(lambda source: got(source, server.url))
    assert (head.status, body) == (200, b"ab")


def test_what_stands_behind_a_body_is_no_head() -> None:
    answer = b"HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHTTP/: x\r\nETag: x\r\n\r\n"
    with serving(saying(answer)) as server:
        head, _ = run(lambda source: got(source, server.url))
    assert (head.status, head.headers) == (404, {"transfer-encoding": "chunked"})


@pytest.mark.parametrize("status", [200, 302, 304, 404])
@pytest.mark.parametrize("behind", [b"", b"Location: /x\r\n", b"Content-Ty"])
def test_a_head_that_breaks_off(status: int, behind: bytes) -> None:
    """Libcurl finds it whole, and its body empty."""
    with serving(saying(b"HTTP/1.1 %d X\r\n" % status + behind)) as server:
        assert str(failure(server.url)) == "the answer breaks off"


LONG = b"HTTP/1.1 404 X\r\nContent-Length: 100000\r\n\r\n"
SHORT = b"HTTP/1.1 404 X\r\nContent-Length: 1000\r\n\r\n"
ENDLESS = b"HTTP/1.1 404 X\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [
        ([SHORT, b"x" * 1_000], True),
        ([SHORT, b"x" * 999, None], False),
        ([SHORT, b"x" * 999], False),
        ([SHORT], False),
        ([LONG], False),
        ([ENDLESS, *[b"x" * 10_000] * 10_000], False),
        ([ENDLESS], False),
    ],
    ids=["whole", "cut", "slow", "silent", "long", "endless", "silent without a length"],
)
def test_a_body_that_is_not_wanted(
    sent: list[bytes | None], is_kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the head says is known; only a short and quick rest is worth a connection."""

    def talk(connection: socket.socket) -> None:
        server.request(connection)
        if server.connections == 1:
            for piece in sent:
                if piece is None:
                    return
                connection.sendall(piece)
        else:
            connection.sendall(WHOLE)
        server.serve(connection)

    async def twice(source: Client) -> list[Any]:
        first = await source.get(server.url, {}, Unwanted())
        return [first.status, (await got(source, server.url))[1]]

    monkeypatch.setattr(exchanges, "_UNWANTED_SECONDS", 0.1)
    with serving(talk) as server:
        assert run(twice) == [404, BODY]
        assert (server.connections == 1) is is_kept


@pytest.mark.parametrize("url", ["http://u%00@127.0.0.1/", "http://[::1%é]/", "http://[v1.x]/"])
def test_addresses_that_are_impossible(url: str) -> None:
    assert isinstance(failure(url), AddressImpossible)


def test_an_address_without_end() -> None:
    assert str(failure("http://127.0.0.1/" + "x" * 9_000_000)).startswith("the connection broke")


def test_one_address_of_a_name_may_be_connected_to() -> None:
    def may(address: str) -> bool:
        return address == "127.0.0.1"

    with serving() as server:
        url = server.url.replace("127.0.0.1", "localhost")
        assert run(lambda source: got(source, url), client(may=may))[1] == BODY
    assert str(failure(url, client(may=may))) == "the host refuses connections"


def test_whoever_leaves_leaves_no_exchange_behind() -> None:
    async def leaving() -> None:
        async with client() as source:
            task = asyncio.create_task(got(source, server.url))
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await task

    with serving(lambda connection: time.sleep(0.5)) as server:
        asyncio.run(leaving())


def test_a_kept_connection_that_has_ended_is_made_anew() -> None:
    async def twice(source: Client) -> bytes:
        await got(source, server.url)
        await asyncio.sleep(0.05)
        return (await got(source, server.url))[1]

    with serving(saying(WHOLE)) as server:
        assert run(twice) == BODY
    assert server.connections == 2


def test_what_stands_behind_an_answer_is_no_answer_to_the_next_request() -> None:
    """If it comes with it. What comes later would be found on a connection that rested a second."""

    def answer(body: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    async def often(source: Client) -> list[bytes]:
        return [(await got(source, server.url))[1] for _ in range(5)]

    with serving(saying(*[answer(b"good") + answer(b"forged")] * 5)) as server:
        assert run(often) == [b"good"] * 5
        assert server.connections == 5


def test_neither_proxies_nor_passwords_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login user password {SECRET}\n")
    (tmp_path / ".curlrc").write_text('header = "X-Test: 1"\n')
    with serving() as server:
        assert run(lambda source: got(source, server.url))[1] == BODY
    (asked,) = server.requests
    assert b"authorization" not in asked.lower()
    assert b"X-Test" not in asked


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that clients are told to trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_a_certificate_that_is_trusted(tls: ssl.SSLContext) -> None:
    with serving(tls=tls) as server:
        assert run(lambda source: got(source, server.url))[1] == BODY


def test_certificates_that_are_not(
    tls: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tls=tls) as server:
        other = server.url.replace("127.0.0.1", "localhost")
        assert str(failure(other)) == "the host's certificate is not trusted"
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        assert str(failure(server.url)) == "the host's certificate is not trusted"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))  # none in it has its hash's name
        assert str(failure(server.url)) == "the host's certificate is not trusted"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
        assert str(failure(server.url)) == "the file of trusted certificates cannot be read"
    assert server.requests == []


def test_a_server_without_encryption() -> None:
    with serving(lambda connection: connection.sendall(b"nonsense")) as server:
        url = server.url.replace("http:", "https:")
        assert str(failure(url)) == "the host offers no encryption that fits"


def test_an_address_that_must_not_be_connected_to() -> None:
    asked: list[str] = []

    def may(address: str) -> bool:
        asked.append(address)
        return False

    with serving() as server:
        assert isinstance(failure(server.url, client(may=may)), AddressRefused)
    assert (asked, server.connections) == (["127.0.0.1"], 0)


def test_a_socket_that_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = socket.socket

    def none_left(*arguments: Any, **named: Any) -> socket.socket:
        if threading.current_thread().name == "client":
            raise OSError(24, "Too many open files")
        return plain(*arguments, **named)

    async def without(source: Client) -> str:
        monkeypatch.setattr(exchanges.socket, "socket", none_left)
        threading.current_thread().name = "client"
        with pytest.raises(Broken) as caught:
            await got(source, server.url)
        return str(caught.value)

    name = threading.current_thread().name
    with serving() as server:
        try:
            assert run(without) == "no connection: Too many open files"
        finally:
            threading.current_thread().name = name


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (WHOLE[:-1], "the answer breaks off"),
        (WHOLE[:-len(BODY)], "the answer breaks off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", "the answer breaks off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "the connection broke"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", "the connection broke"),
        (b"\x00\xff nonsense " * 100, "the connection broke"),
        (b"", "the host ended the connection without an answer"),
        (b"HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\nbody", "the connection broke"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: %b\r\n" % (b"x" * 1_000) * 1_000, "the connection broke"),
    ],
    ids=["cut", "head", "chunks", "chunk", "length", "nonsense", "nothing", "101", "large head"],
)  # fmt: skip
def test_answers_that_are_none(answer: bytes, words: str) -> None:
    with serving(saying(answer)) as server:
        assert str(failure(server.url.replace("//", f"//user:{SECRET}@"))).startswith(words)


def test_a_name_that_nobody_knows() -> None:
    assert str(failure("http://nobody.invalid/1.jpg")) == "the host's name is not known"


@pytest.mark.parametrize("sent", [b"", WHOLE[:20], WHOLE[:5_000]], ids=["", "head", "body"])
def test_silence(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def talk(connection: socket.socket) -> None:
        saying(sent)(connection)
        over.wait(PATIENCE)

    monkeypatch.setattr(exchanges, "_SILENCE_SECONDS", 1)
    with serving(talk) as server:
        found = failure(server.url)
        over.set()
    assert (type(found), str(found)) == (Broken, "silence for 1 s")


def test_a_connection_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue of those who wait to be accepted is full."""
    monkeypatch.setattr(exchanges, "_CONNECT_SECONDS", 1)

    async def both(source: Client) -> str:
        await got(source, server.url)  # what it took must not count for the next one
        with pytest.raises(Broken) as caught:
            await got(source, f"http://127.0.0.1:{place[1]}/")
        return str(caught.value)

    with serving() as server, socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        place = full.getsockname()
        with socket.create_connection(place):
            assert run(both) == "no connection after 1 s"


def test_a_byte_now_and_then() -> None:
    over = threading.Event()

    def talk(connection: socket.socket) -> None:
        saying(WHOLE[:100])(connection)
        while not over.wait(0.02):
            connection.sendall(b"x")

    with serving(talk) as server:
        found = failure(server.url, client(seconds=0.3))
        over.set()
    assert (type(found), str(found)) == (TooSlow, "not here after 0.3 s")


def test_whoever_waits_is_not_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that nobody reads must not wake the loop again and again."""
    over = threading.Event()
    woken: list[None] = []
    plain = Sockets._are_ready

    def counted(self: Sockets) -> None:
        woken.append(None)
        plain(self)

    def talk(connection: socket.socket) -> None:
        server.request(connection)
        connection.sendall(WHOLE[:5_000])
        over.wait(PATIENCE)
        connection.sendall(WHOLE[5_000:])
        server.serve(connection)

    async def slowly(source: Client) -> None:
        await got(source, other.url)  # whose connection rests then
        task = asyncio.create_task(got(source, server.url))
        await asyncio.sleep(0.5)
        over.set()
        assert (await task)[1] == BODY

    monkeypatch.setattr(Sockets, "_are_ready", counted)
    with serving() as other, serving(talk) as server:
        run(slowly)
    assert len(woken) < 100


def test_what_libcurl_cannot_do_at_all_ends_all_transfers() -> None:
    """Out of memory, say: nobody would be told otherwise."""

    class Failing:
        def __init__(self, multi: Any) -> None:
            self._multi = multi

        def __getattr__(self, name: str) -> Any:
            return getattr(self._multi, name)

        def socket_action(self, *_: int) -> None:
            raise pycurl.error(3, "out of memory")

    async def two() -> list[Any]:
        sockets = Sockets()
        sockets._multi = Failing(sockets._multi)
        handles = [pycurl.Curl(), pycurl.Curl()]
        for handle in handles:
            handle.setopt(pycurl.URL, "http://127.0.0.1:9/")
        try:
            return await asyncio.gather(
                *(sockets.transfer(handle) for handle in handles), return_exceptions=True
            )
        finally:
            sockets.close()

    assert [type(one) for one in asyncio.run(two())] == [pycurl.error] * 2
