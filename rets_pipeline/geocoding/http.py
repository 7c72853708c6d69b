"""How geopy's geocoders reach their services.

What belongs here: one request and what may come back: small, in time, from the host that was asked.
What does not: what an answer means (``providers``).

A key is put into the address only here, behind geopy, which writes addresses into its log and its
errors; nothing of this module's faults quotes an address or a body.
"""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import quote

import requests
import urllib3
from geopy.adapters import AdapterHTTPError, BaseSyncAdapter
from geopy.exc import (
    GeocoderParseError,
    GeocoderServiceError,
    GeocoderTimedOut,
    GeocoderUnavailable,
)

from rets_pipeline.rets.redaction import Redactor
from rets_pipeline.rets.time_limit import TimeLimit, WatchedAdapter

#: stands for the key in what geopy sees
KEY = "key-of-this-service"
_MOST_BYTES = 1_000_000
_CHUNK = 1 << 16


class Http(BaseSyncAdapter):  # type: ignore[misc]  # geopy is not typed
    """One service, over ``requests``.

    Args:
        key: of the service, or None.
    """

    def __init__(self, *, key: str | None) -> None:
        super().__init__(proxies=None, ssl_context=None)
        self._key = key
        self._session = requests.Session()
        self._session.trust_env = False  # a .netrc must not send passwords to a geocoder
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, WatchedAdapter())
        if key:
            _keep_from_logs(key)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get_json(self, url: str, *, timeout: float, headers: dict[str, str]) -> Any:
        """A JSON document.

        Raises:
            AdapterHTTPError: the service answered with another status than 200.
            GeocoderServiceError: it cannot be reached, or its answer cannot be used.
        """
        text = self.get_text(url, timeout=timeout, headers=headers)
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise GeocoderParseError("the answer is not JSON") from None

    def get_text(self, url: str, *, timeout: float, headers: dict[str, str]) -> str:
        """The body of an answer; redirects are not followed, since they would take the key along.

        Args:
            timeout: seconds for the whole answer.
        """
        url = url.replace(KEY, quote(self._key, safe="")) if self._key else url
        limit = TimeLimit(timeout)
        try:
            with limit.running():
                text = self._get(url, timeout, headers)
        except (AdapterHTTPError, GeocoderServiceError):
            raise
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError, OSError) as no:
            raise _fault(no, limit, timeout) from None
        finally:
            limit.end()
        if limit.expired:
            raise _fault(TimeoutError(), limit, timeout)
        return text

    def _get(self, url: str, timeout: float, headers: dict[str, str]) -> str:
        with self._session.get(
            url, headers=headers, timeout=timeout, stream=True, allow_redirects=False
        ) as answer:
            body = bytearray()
            for piece in answer.iter_content(_CHUNK):
                body += piece
                if len(body) > _MOST_BYTES:
                    raise GeocoderServiceError(f"the answer is larger than {_MOST_BYTES:,} bytes")
        if answer.status_code != 200:
            raise AdapterHTTPError(
                f"HTTP {answer.status_code}",
                status_code=answer.status_code,
                headers={name.lower(): value for name, value in answer.headers.items()},
                text="",
            )
        return body.decode("utf-8", errors="replace")


def _fault(error: Exception, limit: TimeLimit, timeout: float) -> GeocoderServiceError:
    if limit.expired or isinstance(error, requests.Timeout):
        return GeocoderTimedOut(f"no whole answer in {timeout:g} s")
    if isinstance(error, requests.ConnectionError):
        return GeocoderUnavailable("no connection")
    return GeocoderServiceError(f"no usable answer ({type(error).__name__})")


class _WithoutKey(logging.Filter):
    """Takes a key out of what the connection pool logs."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._redactor = Redactor([key])

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is logged all the same."""
        record.msg, record.args = self._redactor.redact(record.getMessage()), None
        return True


_kept: set[str] = set()


def _keep_from_logs(key: str) -> None:
    if key not in _kept:
        _kept.add(key)
        logging.getLogger("urllib3.connectionpool").addFilter(_WithoutKey(key))
