"""What runs say while they work: one line for each phase, for people and for machines.

What belongs here: the form of lines, and where they go besides Dagster's own log. What does not:
when something is said.

A line of a phase is words of the form ``name=value``: ``phase=pulls feed=board run=… asked=120
listings=118 seconds=4.31``. The same values are in the record's ``fields``, from which
``RETS_PIPELINE_LOG=json`` makes a JSON object a line. Values are names, counts and times: nothing
secret and nothing of a listing.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any, Literal

#: how lines are written to standard error; None: warnings only, as Python does it by itself
Form = Literal["text", "json"]

_ROOT = "rets_pipeline"
_PLAIN = re.compile(r"[^\s=\"]+")


def event(logger: logging.Logger, **fields: Any) -> None:
    """One line.

    Args:
        fields: its words, in their order; None is left out.
    """
    known = {name: value for name, value in fields.items() if value is not None}
    logger.info("%s", words(known), extra={"fields": known})


def words(fields: dict[str, Any]) -> str:
    """``name=value`` for each field; a value that is no single word stands in quotes."""
    texts = ((name, str(value)) for name, value in fields.items())
    return " ".join(
        f"{name}={text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)}"
        for name, text in texts
    )


def configure(form: Form | None) -> None:
    """Write lines to standard error too, from now on, or only warnings.

    Dagster takes the logger for the log of its runs, so that Python no longer writes its warnings.
    """
    logger = logging.getLogger(_ROOT)
    for handler in [item for item in logger.handlers if isinstance(item, _Handler)]:
        logger.removeHandler(handler)
    handler = _Handler()
    logger.addHandler(handler)
    if form is None:
        handler.setLevel(logging.WARNING)
        return
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logger.setLevel(logging.INFO)


class _Handler(logging.StreamHandler[Any]):
    """Ours, to be known again."""


class TextLines(logging.Formatter):
    """Time in UTC, level, message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """In UTC, as ISO 8601 has it."""
        return _moment(record)


class JsonLines(logging.Formatter):
    """An object a line: ``time``, ``level``, ``logger``, and the line's fields or its message."""

    def format(self, record: logging.LogRecord) -> str:
        """Whatever is no JSON becomes text."""
        fields = getattr(record, "fields", None) or {"message": record.getMessage()}
        found = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            **fields,
        }
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False, default=str)


def _moment(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
