"""Keeping secrets out of every message that leaves this package.

What belongs here: taking user names, passwords, authorization headers, cookies and the like out of
text that somebody else wrote, and cutting it short. What does not: deciding what to report.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, urlsplit

MASK = "[redacted]"

#: No error quotes more characters than this of what a server sent.
QUOTE_LIMIT = 200

# A header or parameter that carries a secret: the rest of its line goes.
_SECRET_LINE = re.compile(
    r"\b((?:proxy-|rets-ua-)?authorization|set-cookie2?|cookie|www-authenticate)"
    r"([\"']?\s*[:=])[^\r\n]*",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"\b(access_token|api_?key|password|passwd|pwd|secret|x-sessionid|rets-session-id|rets-request-id)"
    r"([\"']?\s*[:=]\s*)(?:\"[^\"]*\"?|'[^']*'?|[^\s&;,<>\"']+)",
    re.IGNORECASE,
)
_SCHEME_VALUE = re.compile(r"\b(Basic|Bearer|Digest)\s+[A-Za-z0-9+/=_.~-]{8,}", re.IGNORECASE)
# user:password@host, and with it the query, which such addresses tend to fill with secrets too.
_USERINFO = re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s/?#@]*@([^\s?#]*)(?:[?#]\S*)?", re.IGNORECASE)
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Redactor:
    """Takes secrets out of text.

    Args:
        secrets: values that must never be seen, such as a user name and a password. They are
            recognized in any case, and in percent-, form- and HTML-encoded form.
        pairs: user name and password that HTTP Basic would join and encode.
    """

    def __init__(self, secrets: Iterable[str] = (), pairs: Iterable[tuple[str, str]] = ()) -> None:
        spellings: set[str] = set()
        for secret in secrets:
            spellings.update(_spellings(secret))
        for name, password in pairs:
            joined = f"{name}:{password}".encode()
            spellings.add(base64.b64encode(joined).decode("ascii"))
        self._longest = max(map(len, spellings), default=0)
        # The longest first, so that a secret inside another one cannot leave a rest behind.
        ordered = sorted(spellings, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered)), re.I) if ordered else None

    def __repr__(self) -> str:
        return "Redactor()"

    def redact(self, text: str) -> str:
        """The text as one line without secrets."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        text = _USERINFO.sub(rf"\1{MASK}@\2", text)
        text = _SECRET_LINE.sub(rf"\1\2 {MASK}", text)
        text = _SECRET_VALUE.sub(rf"\1\2{MASK}", text)
        text = _SCHEME_VALUE.sub(rf"\1 {MASK}", text)
        return _BLANKS.sub(" ", text).strip()

    def quote(self, text: str, limit: int = QUOTE_LIMIT, *, cut: bool = False) -> str:
        """The beginning of the text as one line without secrets.

        Args:
            text: what a server sent.
            limit: the largest number of characters of the result.
            cut: the text is only the beginning of what was sent; then its end is left out, because
                half a secret there could not be recognized.
        """
        if cut:
            text = text[: max(0, len(text) - self._longest)]
        line = self.redact(text)
        return line if len(line) <= limit else line[: limit - 1] + "…"


def server_name(url: str) -> str:
    """Host, and port if the address names one, without user name, password, path and query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(unreadable address)"
    return f"{parts.hostname or '(no host)'}{port}"


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text as one line without those secrets and without anything that looks like one."""
    return Redactor(secrets).redact(text)


def _spellings(secret: str) -> Iterator[str]:
    for spelling in (secret, quote(secret, safe=""), quote_plus(secret), html.escape(secret)):
        if spelling.strip():
            yield spelling
