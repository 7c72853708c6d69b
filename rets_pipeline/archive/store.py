"""Bytes under keys: one small interface over a folder and S3.

What belongs here: putting, getting, listing and deleting objects. What does not: the meaning of
keys, retries beyond those of the store's client, and compression.

Written objects survive the death of this process at any point. Against a failure of the machine's
power a folder is as safe as its file system makes a renamed file.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, Protocol

import obstore
from obstore.store import LocalStore

from rets_pipeline.archive.errors import STORE_ERRORS, ArchiveError, NotInArchive, store_error
from rets_pipeline.archive.keys import check_key
from rets_pipeline.archive.location import Location, locate

if TYPE_CHECKING:
    from obstore import Attributes, WritableFile

_LIST_BATCH = 1000
_DELETE_BATCH = 1000
# S3 wants parts of at least 5 MiB and at most 10,000 of them: that is 80 GB in 40 MiB of memory.
_PART_BYTES = 8 * 1024 * 1024
_PARTS_AT_ONCE = 4
# To put a file into a folder that others delete from.
_TRIES_IN_A_FOLDER = 20


@dataclass(frozen=True, slots=True)
class Stored:
    """An object of the archive.

    Attributes:
        key: as it was put.
        bytes: its size.
        modified: when it was put, by the store's clock, in UTC.
    """

    key: str
    bytes: int
    modified: datetime


class BinaryWriter(Protocol):
    """What takes bytes piece by piece."""

    def write(self, data: bytes, /) -> int:
        """Take one piece; the number of its bytes comes back."""
        ...


class Archive:
    """A folder, an S3 bucket or a part of one. It may be used by many threads at once.

    Keys are segments of safe characters with slashes between (see ``safe_segment`` for text that
    comes from a server). Every method raises ``ArchiveError`` when the store refuses, does not
    answer, or the key is not one; no message holds a credential.

    Attributes:
        description: where it is, for people, without secrets.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self.description = location.description

    @classmethod
    def from_uri(cls, uri: str, environ: Mapping[str, str] | None = None) -> Archive:
        """Open an archive. A folder is made when it is missing; no server is asked yet.

        Args:
            uri: ``/path``, ``file:///path`` or ``s3://bucket/prefix``.
            environ: where S3's settings come from, the process's environment by default:
                ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``,
                ``AWS_REGION``, and ``AWS_ENDPOINT_URL`` for any server but Amazon's, http allowed.
                Without keys, the roles that Amazon gives to machines and containers are used.

        Raises:
            ArchiveError: the address or a setting cannot be used.
        """
        return cls(locate(uri, os.environ if environ is None else environ))

    def __repr__(self) -> str:
        return f"Archive({self.description!r})"

    def put(
        self,
        key: str,
        data: bytes | BinaryIO,
        *,
        content_type: str | None = None,
        cache_control: str | None = None,
    ) -> None:
        """Store bytes under a key, instead of what was there. Readers see all of it or nothing.

        Args:
            key: where.
            data: bytes, or a file at its beginning; what is larger than a part goes to S3 in
                several, some at a time.
            content_type: told by S3 to whoever gets it; a folder forgets it.
            cache_control: likewise, how long a browser or a CDN may keep it.
        """
        self._check(key)
        attributes = self._attributes(content_type, cache_control)
        for tries_left in reversed(range(_TRIES_IN_A_FOLDER)):
            try:
                # Somebody who deletes may remove the key's folder just before the file is made.
                with self._errors(key, may_be_absent=tries_left > 0 and self._is_folder):
                    obstore.put(
                        self._location.store,
                        key,
                        data,
                        attributes=attributes,
                        chunk_size=_PART_BYTES,
                        max_concurrency=_PARTS_AT_ONCE,
                    )
            except NotInArchive:
                if not isinstance(data, bytes):
                    data.seek(0)
            else:
                return

    @property
    def _is_folder(self) -> bool:
        return isinstance(self._location.store, LocalStore)

    @contextlib.contextmanager
    def writer(self, key: str, *, content_type: str | None = None) -> Iterator[BinaryWriter]:
        """A stream into a key, in constant memory.

        Nothing is visible before the with-block has ended well; an exception leaves nothing, and
        what was there before stays. A killed process can leave an unfinished upload, which no
        reader and no listing sees (S3: let a lifecycle rule abort incomplete multipart uploads).
        """
        self._check(key)
        with self._errors(key):
            target = obstore.open_writer(
                self._location.store,
                key,
                attributes=self._attributes(content_type, None),
                buffer_size=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )
        stream = _Stream(self, key, target)
        try:
            yield stream
            stream.commit()
        except BaseException as error:
            stream.abort(error)
            raise

    def get(self, key: str) -> bytes:
        """All bytes under a key.

        Raises:
            NotInArchive: there are none.
        """
        self._check(key)
        with self._errors(key, may_be_absent=True):
            return bytes(obstore.get(self._location.store, key).bytes())

    def stream(self, key: str, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """The bytes under a key in chunks of about that size. The reader may take its time.

        Raises:
            NotInArchive: there are none (when the first chunk is asked for).
        """
        self._check(key)
        with self._errors(key, may_be_absent=True):
            chunks = iter(
                obstore.get(self._location.streaming_store, key).stream(min_chunk_size=chunk_bytes)
            )
        while True:
            with self._errors(key, may_be_absent=True):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield bytes(chunk)

    def exists(self, key: str) -> bool:
        """Whether there is something under a key."""
        self._check(key)
        try:
            with self._errors(key, may_be_absent=True):
                obstore.head(self._location.store, key)
        except NotInArchive:
            return False
        return True

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """What is stored below a prefix of whole segments (``raw/ddf``), in no certain order."""
        prefix = prefix.removesuffix("/")
        if prefix:
            self._check(prefix)
        with self._errors(prefix):
            batches = iter(
                obstore.list(self._location.store, prefix or None, chunk_size=_LIST_BATCH)
            )
        while True:
            with self._errors(prefix):
                batch = next(batches, None)
            if batch is None:
                return
            for found in batch:
                yield Stored(found["path"], found["size"], found["last_modified"])

    def delete(self, keys: Iterable[str]) -> int:
        """Remove keys; those that are absent are fine.

        Returns:
            how many keys are gone now, the absent ones included.
        """
        count = 0
        batch: list[str] = []
        for key in keys:
            batch.append(key)
            if len(batch) == _DELETE_BATCH:
                count += self._delete(batch)
                batch = []
        return count + self._delete(batch)

    def uri(self, key: str) -> str:
        """The address of a key, to show: ``file:///…`` or ``s3://…``."""
        return f"{self._location.base_uri}/{key}"

    def check(self) -> None:
        """Put, list, get and delete a small object, to find out whether all rights are there.

        Raises:
            ArchiveError: one of them fails; the message says which store and why.
        """
        folder = f"check-{secrets.token_hex(8)}"
        key, data = f"{folder}/object", secrets.token_bytes(16)
        self.put(key, data)
        listed = [stored.key for stored in self.list(folder)]
        if self.get(key) != data or listed != [key]:
            raise ArchiveError(f"{self.description}: what was put does not come back")
        self.delete([key])

    def _delete(self, keys: Sequence[str]) -> int:
        for key in keys:
            self._check(key)
        if keys and self._location.deletes_in_bulk:
            with self._errors(keys[0] if len(keys) == 1 else f"{keys[0]} and {len(keys) - 1} more"):
                obstore.delete(self._location.store, keys)
            return len(keys)
        for key in keys:
            with contextlib.suppress(NotInArchive), self._errors(key, may_be_absent=True):
                obstore.delete(self._location.store, key)
        return len(keys)

    def _attributes(self, content_type: str | None, cache_control: str | None) -> Attributes | None:
        if not self._location.keeps_content_types:
            return None
        named = {"Content-Type": content_type, "Cache-Control": cache_control}
        found: Attributes = {name: value for name, value in named.items() if value is not None}
        return found or None

    def _check(self, key: str) -> None:
        try:
            check_key(key)
        except ValueError as error:
            raise ArchiveError(f"{self.description}: {error}") from None

    @contextlib.contextmanager
    def _errors(self, about: str, *, may_be_absent: bool = False) -> Iterator[None]:
        """Turn the store's exceptions into ours."""
        try:
            yield
        except STORE_ERRORS as error:
            problem = store_error(self.description, about, error)
        else:
            return
        if isinstance(problem, NotInArchive) and not may_be_absent:
            problem = ArchiveError(f"{self.description}: {about}: the place does not exist")
        # Without the cause: it quotes the server's answer and the request's address.
        raise problem from None


class _Stream:
    """An upload that is committed only when every piece was taken."""

    def __init__(self, archive: Archive, key: str, target: WritableFile) -> None:
        self._archive = archive
        self._key = key
        self._target = target
        self._failed = False

    def write(self, data: bytes, /) -> int:
        try:
            with self._archive._errors(self._key):
                return self._target.write(data)
        except BaseException:
            self._failed = True
            raise

    def commit(self) -> None:
        if self._failed:
            raise ArchiveError(
                f"{self._archive.description}: {self._key}: not stored, a piece had been refused"
            )
        with self._archive._errors(self._key):
            self._target.close()

    def abort(self, error: BaseException) -> None:
        # The store removes the parts that it has; when it cannot, the first error matters more.
        with contextlib.suppress(Exception):
            self._target.__exit__(type(error), error, error.__traceback__)
