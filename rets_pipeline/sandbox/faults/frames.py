"""Faults of an answer's frame: HTTP, the RETS element, trailers, connections.

What belongs here: sections 9 to 12, 22 and 26 of the catalogue, as far as any transaction may have
them. What does not: hostile XML (``documents``), and texts (``texts``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rets_pipeline.sandbox.answers import Answer, Raw, drop_connection, plain, rets
from rets_pipeline.sandbox.faults.bodies import RECORD, opening_end
from rets_pipeline.sandbox.faults.catalogue import (
    DATA,
    Turn,
    bends_rules,
    changes,
    replaces,
    spoils_answer,
)
from rets_pipeline.sandbox.rules import Rules

_EVERYWHERE = (*DATA, "Logout", "Image")
_PAGE = "<!DOCTYPE html><html><head><title>Error</title></head><body>Runtime Error</body></html>"
_DOTNET = "Object reference not set to an instance of an object."

# --- 9: frames ------------------------------------------------------------------------------------


@replaces(9, _EVERYWHERE)
def html_under_200(_: Turn) -> Answer:
    """An HTML page comes under HTTP 200."""
    return plain(_PAGE, 200, "text/html")


@replaces(9, _EVERYWHERE, text=_DOTNET)
def text_under_200(turn: Turn) -> Answer:
    """A plain text comes under HTTP 200."""
    return plain(turn["text"], 200, "text/plain")


@replaces(9, _EVERYWHERE)
def empty_under_200(_: Turn) -> Answer:
    """Nothing at all comes under HTTP 200."""
    return Answer(Raw([b""]), headers={"Content-Type": "text/xml"})


@replaces(9, code=20203, status=400)
def refusal_under_4xx(turn: Turn) -> Answer:
    """A refusal comes under a 4xx or 5xx status."""
    answer = rets("", turn["code"], "Miscellaneous Error")
    answer.status = turn["status"]
    return answer


@spoils_answer(9, status=400)
def success_under_4xx(answer: Answer, turn: Turn) -> None:
    """A success comes under a 4xx or 5xx status."""
    answer.status = turn["status"]


@spoils_answer(9, content_type="text/plain")
def content_type_odd(answer: Answer, turn: Turn) -> None:
    """The Content-Type is not text/xml."""
    answer.headers["Content-Type"] = turn["content_type"]


@spoils_answer(9)
def content_type_missing(answer: Answer, _: Turn) -> None:
    """There is no Content-Type."""
    answer.headers.pop("Content-Type", None)


@spoils_answer(9)
def blanks_before_prolog(answer: Answer, _: Turn) -> None:
    """Blanks and line ends stand before the XML declaration."""
    answer.write(b"\r\n \t\r\n" + answer.body())


@spoils_answer(9)
def attributes_odd(answer: Answer, _: Turn) -> None:
    """The RETS element has further attributes, single quotes and another order."""
    form = rb'<(RETS|rets) ReplyCode="(\d+)" ReplyText="([^"]*)"'
    written = rb"<\1 Note='1 > 0' ReplyText='\3' xmlns:x='urn:x'\r\n  ReplyCode='\2'"
    answer.write(re.sub(form, written, answer.body(), count=1))


@spoils_answer(9, code="")
def reply_code_unreadable(answer: Answer, turn: Turn) -> None:
    """The RETS element has no ReplyCode, or one that is no number."""
    code = f' ReplyCode="{turn["code"]}"' if turn["code"] else ""
    answer.write(re.sub(rb' ReplyCode="\d+"', code.encode(), answer.body(), count=1))


@spoils_answer(9)
def tags_lower_case(answer: Answer, _: Turn) -> None:
    """The tags of the frame are written in lower case."""
    names = rb"RETS-RESPONSE|RETS-STATUS|RETS|COUNT|DELIMITER|COLUMNS|DATA|MAXROWS"
    form = re.compile(rb"(</?)(" + names + rb")(?=[\s/>])")
    answer.write(form.sub(lambda match: match[1] + match[2].lower(), answer.body()))


@spoils_answer(9)
def comment_behind_end(answer: Answer, _: Turn) -> None:
    """A comment and blanks stand behind the end of the document."""
    answer.write(answer.body() + b"\r\n<!-- 0.31 s -->\r\n")


@spoils_answer(9, ("Search",))
def second_document(answer: Answer, _: Turn) -> None:
    """A second document stands behind the end of the first."""
    answer.write(answer.body() + b'<RETS ReplyCode="0" ReplyText="" />')


# --- 10: trailers ---------------------------------------------------------------------------------


@spoils_answer(10, code=20203)
def status_trailer(answer: Answer, turn: Turn) -> None:
    """A RETS-STATUS behind the records takes the success back."""
    trailer = f'<RETS-STATUS ReplyCode="{turn["code"]}" ReplyText="Timed out" />'.encode()
    answer.write(re.sub(rb"</RETS>(?!.*</RETS>)", trailer + b"</RETS>", answer.body()))


@spoils_answer(10)
def status_trailer_success(answer: Answer, _: Turn) -> None:
    """A RETS-STATUS behind the records repeats the success."""
    trailer = b'<RETS-STATUS ReplyCode="0" ReplyText="Operation Successful" />'
    answer.write(answer.body().replace(b"</RETS>", trailer + b"</RETS>"))


# --- 11: cut off ----------------------------------------------------------------------------------


def _cut(answer: Answer, at: int, ending: str) -> None:
    answer.wire.cut_at, answer.wire.ending = at, ending


@spoils_answer(11, _EVERYWHERE, at=0.5, ending="broken")
def cut_at_share(answer: Answer, turn: Turn) -> None:
    """The body ends after a share of it: broken, reset or clean."""
    _cut(answer, int(len(answer.body()) * turn["at"]), turn["ending"])


@spoils_answer(11, _EVERYWHERE, byte=100, ending="broken")
def cut_at_byte(answer: Answer, turn: Turn) -> None:
    """The body ends at a byte: broken, reset or clean."""
    _cut(answer, min(turn["byte"], len(answer.body())), turn["ending"])


@spoils_answer(11, ("Search",), records=1, ending="broken")
def cut_after_records(answer: Answer, turn: Turn) -> None:
    """The body ends between two records: broken, reset or clean."""
    ends = [match.end() for match in RECORD.finditer(answer.body())]
    if ends:
        _cut(answer, ends[min(turn["records"], len(ends)) - 1], turn["ending"])


@spoils_answer(11)
def closing_tag_missing(answer: Answer, _: Turn) -> None:
    """Everything comes but the closing tag, and the HTTP body ends as if whole."""
    body = answer.body()
    answer.write(body[: body.rfind(b"</")])


@replaces(11, _EVERYWHERE)
def connection_reset(turn: Turn) -> Answer:
    """The connection is reset before anything is answered."""
    drop_connection(turn.call.request.scope, reset=True)
    return plain("")


@replaces(11, _EVERYWHERE)
def connection_closed(turn: Turn) -> Answer:
    """The connection is closed before anything is answered."""
    drop_connection(turn.call.request.scope, reset=False)
    return plain("")


@spoils_answer(11, _EVERYWHERE, more=10)
def content_length_too_large(answer: Answer, turn: Turn) -> None:
    """Content-Length promises more than comes."""
    body = answer.body()
    answer.wire.gzip, answer.wire.content_length = "never", len(body) + turn["more"]


@spoils_answer(11, DATA)
def gzip_damaged(answer: Answer, _: Turn) -> None:
    """The compressed bytes are damaged."""
    answer.body()
    answer.wire.gzip, answer.wire.gzip_damaged = "always", True


@spoils_answer(11, DATA)
def gzip_cut(answer: Answer, _: Turn) -> None:
    """The compressed bytes end early, and the HTTP body as if it were whole."""
    answer.wire.gzip = "always"
    _cut(answer, len(answer.body()) // 2, "clean")


@spoils_answer(11, DATA)
def gzip_unasked(answer: Answer, _: Turn) -> None:
    """The answer is compressed although nobody asked for it."""
    answer.wire.gzip = "always"


# --- 12: without measure --------------------------------------------------------------------------


@spoils_answer(12, _EVERYWHERE, piece=64, pause=0.01)
def slow_drip(answer: Answer, turn: Turn) -> None:
    """The body drips: some bytes, then a pause."""
    answer.body()
    answer.wire.gzip = "never"
    answer.wire.piece, answer.wire.pause = turn["piece"], turn["pause"]


@spoils_answer(12, _EVERYWHERE, seconds=2.0)
def silence(answer: Answer, turn: Turn) -> None:
    """In the middle of the body the server falls silent."""
    size = len(answer.body())
    answer.wire.gzip = "never"
    answer.wire.silent_at, answer.wire.silence = size // 2, turn["seconds"]


@spoils_answer(12, bytes=300_000)
def endless_blanks(answer: Answer, turn: Turn) -> None:
    """Blanks without end stand before the document."""
    answer.write(b" " * turn["bytes"] + answer.body())


@spoils_answer(12, bytes=5_000_000)
def gzip_bomb(answer: Answer, turn: Turn) -> None:
    """A few compressed bytes become very many."""
    body = answer.body()
    end = opening_end(body)
    answer.write(body[:end] + b"<!--" + b" " * turn["bytes"] + b"-->" + body[end:])
    answer.wire.gzip = "always"


# --- 22: methods ----------------------------------------------------------------------------------


@replaces(22)
def post_refused(turn: Turn) -> Answer | None:
    """POST is answered with HTTP 404: only GET is known."""
    return plain("Not Found", 404) if turn.call.request.method == "POST" else None


@replaces(22, ("Search", "GetObject"))
def get_refused(turn: Turn) -> Answer | None:
    """GET is answered with HTTP 405: only POST is known."""
    return plain("Not Allowed", 405) if turn.call.request.method == "GET" else None


@replaces(22, ("Search",))
def plus_is_a_blank(turn: Turn) -> Answer | None:
    """A blank in a Query, from an unencoded plus sign, finds nothing."""
    found = " " in turn.call.arguments.get("query", "")
    return rets("", 20201, "No Records Found") if found else None


# --- 26: redirects, logout, and so on -------------------------------------------------------------


def _redirect(location: str, status: int) -> Answer:
    answer = plain("Moved", status)
    answer.headers["Location"] = location
    return answer


def _target(turn: Turn) -> str:
    url = turn.call.request.url
    return url.path + (f"?{url.query}" if url.query else "")


@replaces(26, _EVERYWHERE, status=302)
def redirect(turn: Turn) -> Answer:
    """The same address is named as the new one."""
    return _redirect(_target(turn), turn["status"])


@replaces(26, _EVERYWHERE)
def redirect_without_end(turn: Turn) -> Answer:
    """Each answer redirects to the same address, without end."""
    return _redirect(_target(turn), 302)


@replaces(26, _EVERYWHERE, host="localhost")
def redirect_to_other_host(turn: Turn) -> Answer:
    """The request is redirected to another host."""
    port = turn.call.request.url.port
    return _redirect(f"http://{turn['host']}:{port}{_target(turn)}", 302)


@replaces(26, ("Logout",))
def logout_401(turn: Turn) -> Answer:
    """The logout is answered with HTTP 401."""
    return plain("Access denied", 401)


@replaces(26, ("Logout",))
def logout_20701(_: Turn) -> Answer:
    """The logout is answered with reply code 20701."""
    return rets("", 20701, "Not Logged In")


@replaces(26, ("Logout",))
def logout_20702(_: Turn) -> Answer:
    """The logout is answered with reply code 20702."""
    return rets("", 20702, "Logout Failed")


@changes(26, _EVERYWHERE, seconds=0.1)
def late(turn: Turn) -> None:
    """The request takes a while."""
    behaviour = turn.call.behaviour
    turn.call.behaviour = behaviour.but(latency=behaviour.latency + turn["seconds"])


@replaces(26, DATA)
def expect_refused(turn: Turn) -> Answer | None:
    """A request with `Expect: 100-continue` is refused with HTTP 417."""
    return plain("", 417) if "expect" in turn.call.request.headers else None


@bends_rules(26)
def bad_cookie_html(rules: Rules, _: Mapping[str, Any]) -> None:
    """A session that nobody knows is answered with an HTML page."""
    rules.bad_cookie = "html"


@replaces(26)
def headers_echoed(turn: Turn) -> Answer:
    """A refusal repeats the request's headers, credentials and cookies among them."""
    headers = turn.call.request.headers
    names = ("authorization", "cookie", "rets-ua-authorization")
    words = "; ".join(f"{name}: {headers[name]}" for name in names if name in headers)
    return rets("", 20203, words)


@replaces(26, word="sandbox-password")
def password_echoed(turn: Turn) -> Answer:
    """A refusal repeats the password."""
    return rets("", 20203, f"login failed for password={turn['word']} at 10.0.0.1")


@replaces(26, length=50_000)
def refusal_long(turn: Turn) -> Answer:
    """A refusal's text is as long as a book."""
    return rets("", 20203, "All work and no play. " * (turn["length"] // 22))


@spoils_answer(26, ("Login",))
def login_bulletin(answer: Answer, _: Turn) -> None:
    """The login answer says more than addresses: a bulletin."""
    line = b"X-Bulletin=Closed on Sunday; see http://example.com/?a=1\r\n"
    answer.write(answer.body().replace(b"<RETS-RESPONSE>\r\n", b"<RETS-RESPONSE>\r\n" + line))


@changes(26, ("Logout",), seconds=1.0)
def logout_hangs(turn: Turn) -> None:
    """The logout never answers within a client's patience."""
    late(turn)
