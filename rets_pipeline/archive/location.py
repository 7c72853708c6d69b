"""From an address and the environment to a store of obstore's.

What belongs here: reading ``ARCHIVE_URI`` and the variables ``AWS_*``, and saying what is wrong
with them. What does not: reading and writing objects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from obstore.store import LocalStore, S3Store

from rets_pipeline.archive.errors import STORE_ERRORS, ArchiveError, store_error
from rets_pipeline.archive.keys import check_key

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Credential

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_REGION = re.compile(r"[A-Za-z0-9-]{1,60}")
_VISIBLE = re.compile(r"[!-~]+")
_DEFAULT_REGION = "us-east-1"
# Ways to get credentials without keys in the environment, which obstore knows by itself.
_OTHER_CREDENTIALS = (
    "AWS_SKIP_SIGNATURE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_RETRIES: RetryConfig = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=90),
    "backoff": {
        "init_backoff": timedelta(milliseconds=200),
        "max_backoff": timedelta(seconds=10),
        "base": 2,
    },
}


@dataclass(frozen=True, slots=True)
class Location:
    """Where an archive is.

    Attributes:
        description: for people, without secrets.
        base_uri: what keys are put behind, to show.
        store: for all calls but long reads.
        streaming_store: the same place, with time for a slow reader.
        keeps_content_types: whether a content type can be stored with an object.
        deletes_in_bulk: whether one call deletes many, absent keys or not.
    """

    description: str
    base_uri: str
    store: LocalStore | S3Store
    streaming_store: LocalStore | S3Store
    keeps_content_types: bool
    deletes_in_bulk: bool


def locate(uri: str, environ: Mapping[str, str]) -> Location:
    """Open the archive's place. A folder is made when it is missing; no server is asked yet.

    Raises:
        ArchiveError: the address or a setting cannot be used.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return _folder(uri, Path(uri))
    if scheme.lower() == "file":
        host, slash, path = rest.partition("/")
        if host not in ("", "localhost") or not slash:
            raise ArchiveError(f"{uri}: a folder is written file:///path")
        return _folder(uri, Path("/" + unquote(path)))
    if scheme.lower() == "s3":
        return _s3(uri, environ)
    raise ArchiveError(f"{scheme}://…: an archive is a folder, file:///path or s3://bucket/prefix")


def _folder(uri: str, path: Path) -> Location:
    if not uri.strip():
        raise ArchiveError("the archive's address is empty")
    folder = path.absolute()
    try:
        store = LocalStore(folder, mkdir=True, automatic_cleanup=True)
    except (*STORE_ERRORS, ValueError) as error:
        raise store_error(str(folder), "", error) from None
    return Location(
        description=str(folder),
        base_uri=folder.as_uri(),
        store=store,
        streaming_store=store,
        keeps_content_types=False,
        deletes_in_bulk=False,
    )


def _s3(uri: str, environ: Mapping[str, str]) -> Location:
    parts = urlsplit(uri)
    bucket, prefix = parts.netloc, parts.path.strip("/")
    if not _BUCKET.fullmatch(bucket) or parts.query or parts.fragment:
        # Not shown: somebody may have written keys into it.
        raise ArchiveError("the archive's address is not of the form s3://bucket/prefix")
    base = f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"
    try:
        check_key(prefix or "none")
    except ValueError as error:
        raise ArchiveError(f"{base}: {error}") from None
    endpoint = _endpoint(environ)
    description = f"{base} at {endpoint}" if endpoint else base
    config: S3Config = {"region": _region(environ)}
    if endpoint:
        config["endpoint"] = endpoint
    credentials = _credentials(description, environ, bool(endpoint))

    def store(client_options: ClientConfig) -> S3Store:
        return S3Store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options={**client_options, "allow_http": endpoint.startswith("http://")},
            retry_config=_RETRIES,
            credential_provider=credentials,
        )

    try:
        return Location(
            description=description,
            base_uri=base,
            store=store({"connect_timeout": "10s", "timeout": "120s"}),
            # The overall time-out would count the reader's own work: only silence ends a read.
            streaming_store=store(
                {"connect_timeout": "10s", "read_timeout": "60s", "timeout": "1day"}
            ),
            keeps_content_types=True,
            deletes_in_bulk=True,
        )
    except STORE_ERRORS as error:
        raise store_error(description, "", error) from None


def _endpoint(environ: Mapping[str, str]) -> str:
    name = "AWS_ENDPOINT_URL_S3" if environ.get("AWS_ENDPOINT_URL_S3") else "AWS_ENDPOINT_URL"
    endpoint = environ.get(name, "").strip().rstrip("/")
    if not endpoint:
        return ""
    try:
        parts = urlsplit(endpoint)
        valid = bool(parts.scheme in ("http", "https") and parts.hostname and parts.port != 0)
    except ValueError:
        valid = False
    if not valid or not _VISIBLE.fullmatch(endpoint):
        raise ArchiveError(f"{name}: must be an address such as https://s3.example.com")
    if parts.username is not None or parts.query or parts.fragment:
        raise ArchiveError(f"{name}: must hold neither user name and password nor a query")
    return endpoint


def _region(environ: Mapping[str, str]) -> str:
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or _DEFAULT_REGION
    if not _REGION.fullmatch(region):
        raise ArchiveError("AWS_REGION: must be a region's name such as us-east-1")
    return region


def _credentials(
    description: str, environ: Mapping[str, str], own_server: bool
) -> Callable[[], S3Credential] | None:
    """The keys of ``environ`` alone, or None for obstore's own search (roles, containers)."""
    key = environ.get("AWS_ACCESS_KEY_ID", "")
    secret = environ.get("AWS_SECRET_ACCESS_KEY", "")
    token = environ.get("AWS_SESSION_TOKEN", "")
    if not key and not secret:
        if own_server and not any(environ.get(name) for name in _OTHER_CREDENTIALS):
            raise ArchiveError(
                f"{description}: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"
            )
        return None
    for name, value in (("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret)):
        if not value:
            raise ArchiveError(f"{description}: {name} is not set")
        if not _VISIBLE.fullmatch(value):
            raise ArchiveError(f"{description}: {name} holds a blank or an unusual character")
    credential: S3Credential = {
        "access_key_id": key,
        "secret_access_key": secret,
        "token": token or None,
        "expires_at": None,
    }
    return lambda: credential
