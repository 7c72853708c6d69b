"""Metadata on disk, by the hash of its content.

What belongs here: keeping and finding metadata of servers, and asking a server only when what is
kept is too old. What does not: the metadata itself (``metadata``).

Nothing that a server says about versions and dates decides here, because some never change them:
only what was asked for again, and when.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rets_pipeline.rets.metadata import Metadata

_CURRENT: Final = "current.json"


@dataclass(frozen=True, slots=True)
class CachedMetadata:
    """Metadata, and how it came.

    Attributes:
        metadata: what the server said.
        checked_at: when the server was asked last, in UTC.
        changed: the server was asked now, and it is not what was kept before.
    """

    metadata: Metadata
    checked_at: datetime
    changed: bool = False


class MetadataCache:
    """A folder with the metadata of servers; each content is kept once.

    Several processes may use it: files appear whole or not at all.

    Args:
        folder: made when first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, name: str) -> CachedMetadata | None:
        """What was kept last, or None; damaged files count as none.

        Args:
            name: of the server, or of the account on it.
        """
        folder = self._place(name)
        with contextlib.suppress(OSError, EOFError, ValueError, KeyError, TypeError):
            current = json.loads((folder / _CURRENT).read_bytes())
            checked_at = datetime.fromisoformat(current["checked_at"])
            content = gzip.decompress((folder / _file(current["content_hash"])).read_bytes())
            metadata = Metadata.from_dict(json.loads(content))
            if metadata.content_hash == current["content_hash"]:
                return CachedMetadata(metadata, checked_at)
        return None

    def save(self, name: str, metadata: Metadata, now: datetime | None = None) -> CachedMetadata:
        """Keep metadata that the server has just sent.

        Args:
            name: of the server, or of the account on it.
            metadata: all of it.
            now: when the server was asked; by default now.
        """
        folder, content_hash = self._place(name), metadata.content_hash
        checked_at = (now or datetime.now(UTC)).astimezone(UTC)
        before = self.load(name)
        changed = before is None or before.metadata.content_hash != content_hash
        if changed:
            _write(folder / _file(content_hash), gzip.compress(_json(metadata.to_dict())))
        current = {"content_hash": content_hash, "checked_at": checked_at.isoformat()}
        _write(folder / _CURRENT, _json(current))
        return CachedMetadata(metadata, checked_at, changed=changed)

    def get(
        self,
        name: str,
        fetch: Callable[[], Metadata],
        *,
        max_age: timedelta,
        now: datetime | None = None,
    ) -> CachedMetadata:
        """What is kept if it is young enough, else what the server says now.

        Args:
            name: of the server, or of the account on it.
            fetch: asks the server.
            max_age: since the server was asked last.
            now: by default now.
        """
        now = now or datetime.now(UTC)
        kept = self.load(name)
        if kept is not None and timedelta(0) <= now - kept.checked_at < max_age:
            return kept
        return self.save(name, fetch(), now)

    def _place(self, name: str) -> Path:
        """A folder for any name: readable, and unlike that of any other name."""
        readable = re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("._")[:60]
        digest = hashlib.sha256(name.encode()).hexdigest()[:12]
        return self._folder / f"{readable or 'server'}-{digest}"


def _file(content_hash: str) -> str:
    return f"{content_hash}.json.gz"


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
