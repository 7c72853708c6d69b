"""A small RETS server over real HTTP whose answers each test writes down.

It speaks HTTP/1.1, checks Digest and Basic by its own arithmetic, hands out a session cookie with
the challenge already, and remembers what it was asked.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from rets_pipeline_tests.patience import PATIENCE

USERNAME = "realtor-account"
PASSWORD = 's3cr3t pass+word&"<ü>'
REALM = "CREA.Distribution"

LOGIN = b"""<RETS ReplyCode="0" ReplyText="Operation Successful">
<RETS-RESPONSE>
MemberName=Somebody
User=1,,,1
MetadataVersion=1.2.3
Login=/Login.svc/Login
Logout=/Logout.svc/Logout
Search=/Search.svc/Search
GetMetadata=/Metadata.svc/GetMetadata
</RETS-RESPONSE>
</RETS>"""


def reply(code: int, text: str = "", inside: str = "") -> bytes:
    opening = f'<RETS ReplyCode="{code}" ReplyText="{text}">'
    return f'<?xml version="1.0" encoding="utf-8"?>{opening}{inside}</RETS>'.encode()


def master_list(keys: Iterable[object], *, count: object | None = None, trailer: str = "") -> bytes:
    listed = list(keys)
    records = "".join(
        f'<Property ID="{key}" LastUpdated="Wed, 13 Mar 2024 14:33:02 GMT" />' for key in listed
    )
    total = len(listed) if count is None else count
    return reply(
        0,
        "Operation Successful",
        f'<COUNT Records="{total}" /><RETS-RESPONSE xmlns="urn:CREA.Search.Property">'
        f"<Pagination><TotalRecords>{total}</TotalRecords><Limit>0</Limit><Offset>1</Offset>"
        f"<TotalPages>1</TotalPages><RecordsReturned>{len(listed)}</RecordsReturned></Pagination>"
        f"{records}</RETS-RESPONSE>{trailer}",
    )


@dataclass
class Canned:
    """One answer.

    `cut_after`: the connection breaks after so many bytes of the body.
    `silent_after`: the server says nothing more for `delay` seconds after so many bytes, or until
    `go_on` is set.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    compressed: bool = False
    chunked: bool = False
    cut_after: int | None = None
    silent_after: int | None = None
    delay: float = 0.0
    go_on: threading.Event | None = None
    #: seconds between the bytes of the body; `drip_headers`: of the headers too
    drip: float = 0.0
    drip_headers: bool = False
    #: the server forgets the session before it answers, so that only a new login helps
    challenge: bool = False


@dataclass
class Received:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    form: dict[str, str]
    authorized: bool
    connection: int


class ScriptedServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, scheme: str = "digest", tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scheme = scheme
        self.tls = tls
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.cookie = "X-SESSIONID"
        self.cookie_value: str | None = None
        self.signs_path_only = False
        self.under_way = self.most_under_way = 0
        self.qop: str | None = "auth"
        self.algorithm: str | None = None
        self.challenges: list[str] = []
        self.password = PASSWORD
        self.received: list[Received] = []
        self.script: dict[str, list[Canned]] = {
            "/Login.svc/Login": [Canned(LOGIN)],
            "/Logout.svc/Logout": [Canned(reply(0))],
        }
        #: paths whose answers depend on the arguments
        self.handlers: dict[str, Callable[[dict[str, str]], Canned | bytes]] = {}
        self.nonces: dict[str, int] = {}
        self.stale_nonces: set[str] = set()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> ScriptedServer:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def origin(self) -> str:
        protocol = "http" if self.tls is None else "https"
        return f"{protocol}://127.0.0.1:{self.server_address[1]}"

    @property
    def login_url(self) -> str:
        return f"{self.origin}/Login.svc/Login"

    def answers(self, path: str, *canned: Canned | bytes) -> None:
        """What a path answers, in order; the last one for ever."""
        self.script[path] = [item if isinstance(item, Canned) else Canned(item) for item in canned]

    def searches(self, *canned: Canned | bytes) -> None:
        self.answers("/Search.svc/Search", *canned)

    def asked(self, path: str, *, authorized: bool = True) -> list[Received]:
        return [
            item for item in self.received if item.path == path and item.authorized is authorized
        ]

    def forget_nonces(self) -> None:
        with self.lock:
            self.nonces.clear()

    def next_answer(self, path: str, form: dict[str, str]) -> Canned:
        if path in self.handlers:
            answer = self.handlers[path](form)
            return answer if isinstance(answer, Canned) else Canned(answer)
        with self.lock:
            queue = self.script.get(path)
            if not queue:
                return Canned(b"<html><body>404</body></html>", 404)
            return queue.pop(0) if len(queue) > 1 else queue[0]

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the tests."""

    def new_challenge(self, stale: bool) -> str:
        if self.scheme == "basic":
            return f'Basic realm="{REALM}"'
        nonce = hashlib.sha1(str(time.monotonic_ns()).encode()).hexdigest()
        with self.lock:
            self.nonces[nonce] = 0
        parts = [f'realm="{REALM}"', f'nonce="{nonce}"', 'opaque="0a,b"']
        if self.qop is not None:
            parts.append(f'qop="{self.qop}"')
        if self.algorithm is not None:
            parts.append(f"algorithm={self.algorithm}")
        if stale:
            parts.append("stale=true")
        return "Digest " + ", ".join(parts)

    def verdict(self, method: str, target: str, header: str) -> str:
        """`right`, `wrong` or `stale`."""
        if self.scheme == "none":
            return "right"
        if self.scheme == "basic":
            expected = base64.b64encode(f"{USERNAME}:{self.password}".encode()).decode()
            return "right" if header == f"Basic {expected}" else "wrong"
        if not header.startswith("Digest "):
            return "wrong"
        pairs = re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))', header[7:])
        given = {name: quoted or token for name, quoted, token in pairs}
        if self.signs_path_only:
            target = target.partition("?")[0]
        return self._digest_verdict(method, target, given)

    def _digest_verdict(self, method: str, target: str, given: dict[str, str]) -> str:
        def digest(text: str) -> str:
            name = "sha256" if "256" in (self.algorithm or "") else "md5"
            return hashlib.new(name, text.encode()).hexdigest()

        nonce = given.get("nonce", "")
        first = digest(f"{USERNAME}:{REALM}:{self.password}")
        if (self.algorithm or "").lower().endswith("-sess"):
            first = digest(f"{first}:{nonce}:{given['cnonce']}")
        second = digest(f"{method}:{target}")
        middle = ""
        if self.qop is not None:
            if given.get("qop") != "auth":
                return "wrong"
            middle = f"{given['nc']}:{given['cnonce']}:auth:"
        if given.get("opaque") != "0a,b" or given.get("uri") != target:
            return "wrong"
        if given.get("response") != digest(f"{first}:{nonce}:{middle}{second}"):
            return "wrong"
        with self.lock:
            if nonce in self.stale_nonces or nonce not in self.nonces:
                return "stale"
            if self.qop is not None:
                count = int(given["nc"], 16)
                if count <= self.nonces[nonce]:
                    return "wrong"  # a replay
                self.nonces[nonce] = count
        return "right"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        parts = urlsplit(self.path)
        form = dict(parse_qsl(body or parts.query, keep_blank_values=True))
        raw = self.headers.get("Authorization", "")
        header = raw.encode("latin-1").decode("utf-8")
        verdict = self.server.verdict(self.command, self.path, header)
        cookies = SimpleCookie(self.headers.get("Cookie", ""))
        authorized = verdict == "right" and (
            self.server.scheme == "none" or self.server.cookie in cookies
        )
        self.server.received.append(
            Received(
                method=self.command,
                path=parts.path,
                query=parts.query,
                headers={name.lower(): value for name, value in self.headers.items()},
                form=form,
                authorized=authorized,
                connection=self.client_address[1],
            )
        )
        if not authorized:
            self._challenge(verdict == "stale")
            return
        canned = self.server.next_answer(parts.path, form)
        if canned.challenge:
            self.server.forget_nonces()
            self._challenge(stale=False)
            return
        with self.server.lock:
            self.server.under_way += 1
            self.server.most_under_way = max(self.server.most_under_way, self.server.under_way)
        try:
            self._answer(canned)
        finally:
            with self.server.lock:
                self.server.under_way -= 1

    def _challenge(self, stale: bool) -> None:
        body = b"<html>Access is denied.</html>"
        self.send_response(401)
        for challenge in [*self.server.challenges, self.server.new_challenge(stale)]:
            self.send_header("WWW-Authenticate", challenge)
        value = self.server.cookie_value
        value = str(time.monotonic_ns()) if value is None else value
        self.send_header("Set-Cookie", f"{self.server.cookie}={value}; path=/; HttpOnly")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, canned: Canned) -> None:
        if canned.delay and canned.silent_after is None:
            time.sleep(canned.delay)
        body = canned.body
        self.send_response(canned.status)
        if canned.compressed:
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        if not any(name.lower() == "content-type" for name in canned.headers):
            self.send_header("Content-Type", "text/xml")
        for name, value in canned.headers.items():
            self.send_header(name, value)
        if canned.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            body = b"".join(
                b"%x\r\n%s\r\n" % (len(body[start : start + 1000]), body[start : start + 1000])
                for start in range(0, len(body), 1000)
            )
            body += b"0\r\n\r\n"
        else:
            self.send_header("Content-Length", str(len(body)))
        if canned.drip_headers:
            self._drip(b"X-Slow: ", canned.drip)
        self.end_headers()
        self._write(canned, body)

    def _drip(self, data: bytes, pause: float) -> None:
        self.flush_headers()
        for _ in range(200):
            for byte in data:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(pause)

    def _write(self, canned: Canned, body: bytes) -> None:
        pause = canned.silent_after if canned.silent_after is not None else canned.cut_after
        try:
            if canned.drip:
                self._drip(body, canned.drip)
            self.wfile.write(body[:pause])
            if canned.cut_after is not None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            elif canned.silent_after is not None:
                self.wfile.flush()
                if canned.go_on is not None:
                    canned.go_on.wait(PATIENCE)
                time.sleep(canned.delay)
                self.wfile.write(body[pause:])
        except OSError:
            self.close_connection = True
