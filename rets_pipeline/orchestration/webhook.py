"""Alerts over HTTP.

What belongs here: one POST of some JSON, and telling in one line why it was not delivered. What
does not: what is told, and when; Dagster.

The address is a secret: whoever has it can post. It is never part of a message, an exception or a
log line of ours.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import requests
import urllib3

from rets_pipeline.rets.time_limit import TimeLimit, WatchedAdapter

#: to connect, and of silence; and altogether, so that the sensor's own time is kept
_TIMEOUT, _SECONDS = (5.0, 10.0), 20.0
#: more lines than that help nobody in a chat
_LINES = 40


class NotDelivered(Exception):
    """The receiver did not take the alerts; the message does not name its address."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that an operator should know: nothing personal, nothing secret.

    Attributes:
        kind: ``run_failed``, ``deletion_guard``, ``stale``, ``settings``, ``warehouse``, or
            ``recovered``.
        feed: its name; empty: of the whole deployment.
        text: one plain line.
        run_id: Dagster's, where a run is meant.
    """

    kind: str
    feed: str
    text: str
    run_id: str | None = None


def deliver(url: str, alerts: Sequence[Alert]) -> None:
    """Send some alerts in one request.

    The body is ``{"text": ..., "source": "rets_pipeline", "alerts": [...]}``. Slack and what is
    compatible with it show ``text``, a line for each alert; the alerts hold the fields of
    :class:`Alert`.

    Raises:
        NotDelivered: no answer in time, or one that is not 2xx. Redirections are not followed.
    """
    lines = [alert.text for alert in alerts[:_LINES]]
    if len(alerts) > _LINES:
        lines.append(f"and {len(alerts) - _LINES:,} more")
    document: dict[str, object] = {
        "text": "\n".join(lines),
        "source": "rets_pipeline",
        "alerts": [asdict(alert) for alert in alerts],
    }
    fault = _post(url, document)
    if fault is not None:  # raised here, where no exception that names the address is its context
        raise NotDelivered(f"{len(alerts):,} alerts were not delivered and wait: {fault}")


def _post(url: str, document: dict[str, object]) -> str | None:
    """What went wrong, if anything."""
    limit = TimeLimit(_SECONDS)
    try:
        with requests.Session() as session, limit.running():
            for scheme in ("http://", "https://"):
                session.mount(scheme, WatchedAdapter())
            with _without_addresses():
                answer = session.post(
                    url, json=document, timeout=_TIMEOUT, allow_redirects=False, stream=True
                )
            with answer:
                return None if answer.status_code // 100 == 2 else f"HTTP {answer.status_code}"
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        return f"no answer within {_SECONDS:.0f} s" if limit.expired else type(error).__name__
    finally:
        limit.end()


class _without_addresses:  # noqa: N801 (a context manager)
    """Without the lines of urllib3 that name what was asked for, while they could be."""

    def __enter__(self) -> None:
        self._logger = logging.getLogger("urllib3.connectionpool")
        self._level = self._logger.level
        self._logger.setLevel(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        self._logger.setLevel(self._level)
