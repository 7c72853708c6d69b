"""What the operator configures: the feeds and where their data goes.

What belongs here: reading and validating ``feeds.yaml`` and the environment, and saying in one
plain line what is wrong with them. What does not: opening connections, Dagster, and secrets as
values (a feed names the variables that hold them; they are read when a session is opened).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_PLACE = re.compile(r"[\w.\-\[\]:,]*(/[\w.\-]*)?")
_PAGE = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?(/[\w.~-]+)+")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_QUOTED = re.compile(r"'[^'<\\][^']+'")
_BASE_URL = re.compile(r"https?://[\w.\-:\[\]]+(/[\w.~%+\-]+)*/?", re.ASCII)
_FEED_NAME = r"^[a-z][a-z0-9_]{0,39}$"
_VARIABLE_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


class SettingsError(Exception):
    """The settings cannot be used; the message is one line that says which and why."""


def _date_only(value: object) -> object:
    day = isinstance(value, date) and not isinstance(value, datetime)
    if not day and not (isinstance(value, str) and _DAY.fullmatch(value)):
        # Pydantic would take a number for seconds since 1970.
        raise ValueError("must be a day such as 2026-01-31, without a time")
    return value


def _is_http(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # whose words quote the address
        return False


class DeletionGuard(BaseModel):
    """When deletions stop: the gone keys exceed **both** numbers (design, section 2)."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    keys: int = Field(default=20, ge=0, description="gone keys, an absolute number")
    share: float = Field(default=0.10, ge=0, le=1, description="gone keys / live keys")


class PhotoSettings(BaseModel):
    """Which photos are mirrored, and from where."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    sizes: tuple[Literal["thumbnail", "medium", "large"], ...] = Field(
        default=("large",), min_length=1
    )
    hosts: tuple[str, ...] = Field(
        default=(), description="hosts that images may come from; `*.example.com` for all below"
    )
    strategies: tuple[Literal["url", "location", "object"], ...] = Field(
        default=("url",),
        min_length=1,
        description="ways to a photo, in order: the payload's address, GetObject's, its bytes",
    )
    listings_per_object_request: int = Field(
        default=1, ge=1, le=100, description="whose photos one GetObject asks for"
    )
    connections: int = Field(default=16, ge=1, le=64, description="downloads at the same time")
    connections_per_host: int | None = Field(
        default=None, ge=1, le=64, description="of them to one host; None: all"
    )
    requests_per_second: float | None = Field(
        default=None, gt=0, description="to one host; None: no limit"
    )
    timeout_seconds: float = Field(
        default=120, gt=0, le=3_600, description="of one request for an image, to its last byte"
    )
    max_bytes: int = Field(default=30_000_000, ge=1_000, description="of one image")
    per_run: int = Field(default=50_000, ge=1, description="images handled by one run")
    bytes_per_run: int = Field(default=20_000_000_000, ge=1, description="loaded by one run")
    base_url: str | None = Field(
        default=None, description="where a website finds the archive: a CDN's address, say"
    )
    allow_private_addresses: bool = Field(
        default=False, description="only for a server on the same machine, such as the sandbox"
    )

    @field_validator("base_url")
    @classmethod
    def _base_url_is_an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not _BASE_URL.fullmatch(value):
            raise ValueError("must be an http(s) address without user, query and fragment")
        return value.rstrip("/") + "/"


#: services that ask for a key, and those that can be run on a host of one's own
_KEYED = ("google", "opencage")
_HOSTED = ("nominatim", "photon", "arcgis", "google", "opencage")
_PUBLIC_NOMINATIM = "nominatim.openstreetmap.org"


class GeocoderSettings(BaseModel):
    """One geocoder that addresses are asked of."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Literal["nominatim", "arcgis", "google", "opencage", "photon", "offline"]
    host: str | None = Field(
        default=None, description="of one's own: `geocoder.example.com` or an http(s) address"
    )
    key_variable: str | None = Field(default=None, pattern=_VARIABLE_NAME)
    daily_requests: int = Field(default=2_000, ge=0, description="budget of one UTC day")
    seconds_between_requests: float = Field(default=1.0, ge=0, le=60)
    timeout_seconds: float = Field(default=10.0, gt=0, le=120, description="of one answer")

    @field_validator("host")
    @classmethod
    def _host_is_one(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value if "://" in value else f"https://{value}")
            valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # whose words quote the address
            valid = False
        if not valid or parts.username or parts.password or parts.query or parts.path not in "/":
            raise ValueError("must be a host, or an http(s) address of one without a path")
        return f"{parts.scheme}://{parts.netloc}"

    @model_validator(mode="after")
    def _service_is_used_as_it_asks(self) -> GeocoderSettings:
        if self.name in _KEYED and self.key_variable is None:
            raise ValueError(f"{self.name} needs key_variable: the variable that holds its key")
        if self.name not in _KEYED and self.key_variable is not None:
            raise ValueError(f"{self.name} takes no key")
        if self.host is not None and self.name not in _HOSTED:
            raise ValueError(f"{self.name} has no host")
        public = self.host is None or _PUBLIC_NOMINATIM in self.host
        if self.name == "nominatim" and public and self.seconds_between_requests < 1:
            # https://operations.osmfoundation.org/policies/nominatim/
            raise ValueError("public Nominatim allows one request a second")
        return self


class AddressSettings(BaseModel):
    """How listings without coordinates of their own get them."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    geocoders: tuple[GeocoderSettings, ...] = Field(
        default=(GeocoderSettings(name="offline"),),
        description="asked in this order until one answers as exactly as a street",
    )
    user_agent: str | None = Field(
        default=None, min_length=1, description="with a contact, as public services ask"
    )
    per_run: int = Field(default=20_000, ge=1, description="addresses handled by one run")
    seconds_per_run: float = Field(default=600, gt=0, le=86_400)
    kilometres: float = Field(
        default=30, gt=0, description="from the middle of an urban postal area"
    )
    rural_kilometres: float = Field(default=500, gt=0, description="likewise of a rural one")
    retry_days: float = Field(default=30, gt=0, description="until a negative answer is asked anew")
    improve_days: float = Field(
        default=180, gt=0, description="until an answer that is no street is asked anew"
    )

    @field_validator("geocoders", mode="before")
    @classmethod
    def _names_are_enough(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            return [{"name": item} if isinstance(item, str) else item for item in value]
        return value

    @field_validator("geocoders")
    @classmethod
    def _each_stands_once(cls, value: tuple[GeocoderSettings, ...]) -> tuple[GeocoderSettings, ...]:
        names = [geocoder.name for geocoder in value]
        if len(set(names)) < len(names):
            raise ValueError("names a geocoder twice")
        return value


class ReconcileSettings(BaseModel):
    """The nightly reconcile: a sync with audits."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    hour: int = Field(default=3, ge=0, le=23, description="UTC; retention follows")
    sample: float = Field(
        default=0.01, ge=0, le=1, description="share of the live keys that is fetched again"
    )


class RetentionSettings(BaseModel):
    """How long is kept what no live listing needs, in days."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    pull_days: int = Field(
        default=90, ge=1, description="raw pulls that nothing live came from, since the request"
    )
    gone_pull_days: int = Field(
        default=30, ge=1, description="raw pulls that gone listings came from, since they are gone"
    )
    master_list_days: int = Field(
        default=400, ge=1, description="one raw master list of each day, since the request"
    )
    tombstone_days: int = Field(default=400, ge=1, description="tombstones, since the key is gone")
    run_days: int = Field(
        default=400, ge=1, description="rows of the run ledger but each job's last, since the start"
    )


class FeedConfig(BaseModel):
    """One account on one MLS server."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(pattern=_FEED_NAME)
    protocol: Literal["rets"] = "rets"
    source: Literal["ddf"]
    login_url: str
    username_variable: str = Field(pattern=_VARIABLE_NAME)
    password_variable: str = Field(pattern=_VARIABLE_NAME)
    first_day: Annotated[date, BeforeValidator(_date_only)]
    rets_version: str = Field(default="RETS/1.7.2", pattern=r"^RETS/\d+(\.\d+)*$")
    user_agent: str = Field(default="rets_pipeline/0.1", min_length=1)
    culture: str | None = None
    timeout_seconds: float = Field(
        default=120, gt=0, le=86_400, description="silence on a connection"
    )
    listings_per_request: int = Field(default=100, ge=1, le=100)
    listings_per_run: int = Field(default=200_000, ge=1, description="budget of one run")
    cadence_minutes: int = Field(default=15, ge=1, le=1440)
    members_cadence_minutes: int = Field(
        default=1440, ge=1, le=1440, description="of members and offices"
    )
    max_runtime_minutes: int | None = Field(
        default=None, ge=5, description="of a run; None: see `runtime_minutes`"
    )
    alert_after_minutes: int | None = Field(
        default=None, ge=5, description="age of the newest master list; None: see `stale_minutes`"
    )
    lock_wait_seconds: float = Field(default=600, ge=0)
    deletion_guard: DeletionGuard = DeletionGuard()
    photos: PhotoSettings = PhotoSettings()
    addresses: AddressSettings = AddressSettings()
    reconcile: ReconcileSettings = ReconcileSettings()
    retention: RetentionSettings = RetentionSettings()
    owners: tuple[str, ...] = ("team:data-platform",)

    @property
    def runtime_minutes(self) -> int:
        """How long a run may take: near the cadence, so that a stuck one costs few syncs.

        Twice the cadence, at least half an hour and at most four hours.
        """
        return self.max_runtime_minutes or min(max(30, 2 * self.cadence_minutes), 240)

    @property
    def stale_minutes(self) -> int:
        """The age of the newest master list that is worth an alert: four cadences, or an hour."""
        return self.alert_after_minutes or max(60, 4 * self.cadence_minutes)

    @field_validator("login_url")
    @classmethod
    def _login_url_is_http(cls, value: str) -> str:
        if not _is_http(value):
            raise ValueError("must be an http(s) address")
        parts = urlsplit(value)
        if parts.username or parts.password:
            raise ValueError("must not hold a user name or password; name their variables instead")
        return value

    @field_validator("owners")
    @classmethod
    def _owners_are_dagsters(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for owner in value:
            if not re.fullmatch(r"team:[A-Za-z0-9_\-]+|[^@\s]+@[^@\s]+\.[^@\s]+", owner):
                raise ValueError(f"{owner!r} is neither an e-mail address nor `team:name`")
        return value

    @field_validator("cadence_minutes", "members_cadence_minutes")
    @classmethod
    def _cadence_fits_the_clock(cls, value: int) -> int:
        fits = 60 % value == 0 if value < 60 else value % 60 == 0 and 24 % (value // 60) == 0
        if not fits:
            raise ValueError("must divide an hour, or be whole hours that divide a day")
        return value

    @field_validator("first_day")
    @classmethod
    def _first_day_is_past(cls, value: date) -> date:
        if value > datetime.now(UTC).date():
            raise ValueError("lies in the future")
        return value


class Settings(BaseModel):
    """Everything a deployment sets.

    Attributes:
        feeds: the feeds by name, in the order of the file.
        database_url: of the warehouse, in SQLAlchemy's form. It may hold a password, so it is
            never printed; see :attr:`database_description`.
        archive_uri: ``file:///…``, a folder, or ``s3://bucket/prefix``.
        home: the folder for all that is kept when nothing else is configured.
        automation: whether schedules and sensors run as soon as they are deployed.
        repository_url: where this software's repository is shown to people, such as
            ``https://github.com/owner/name``; empty: the UI links to no code and no documents.
        repository_branch: of the repository, that is deployed.
        webhook_url: where alerts are sent; None: nowhere. It is a secret: who has it can post.
        broken: feeds whose entries cannot be used: name to the fault in one line. The others are
            mirrored all the same; whoever asks for one of these gets its fault.
        event_log_days: how long Dagster's event log keeps how a run went, step by step.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    feeds: dict[str, FeedConfig]
    database_url: str = Field(repr=False)
    archive_uri: str
    home: Path
    automation: bool = False
    repository_url: str = ""
    repository_branch: str = "main"
    webhook_url: str | None = Field(default=None, repr=False)
    broken: dict[str, str] = Field(default_factory=dict)
    event_log_days: int = Field(default=30, ge=1)

    @field_validator("repository_url")
    @classmethod
    def _repository_is_a_page(cls, value: str) -> str:
        if not value:
            return value
        page = _PAGE.fullmatch(value.removesuffix("/").removesuffix(".git"))
        if page is None:
            # Not quoted: addresses of repositories are often written with a token.
            raise ValueError("RETS_PIPELINE_REPOSITORY: must be https://host/path, and no more")
        return page.group()

    @model_validator(mode="after")
    def _database_is_supported(self) -> Settings:
        # Nothing is quoted: whoever mixes up the variables may have put a password there.
        scheme = self.database_url.partition(":")[0].partition("+")[0]
        if scheme not in ("sqlite", "postgresql", "postgres"):
            raise ValueError("DATABASE_URL: must begin with postgresql:// or sqlite:///")
        scheme = self.archive_uri.partition("://")[0] if "://" in self.archive_uri else "file"
        if scheme.lower() not in ("file", "s3"):
            raise ValueError("ARCHIVE_URI: must be a folder, or begin with file:/// or s3://")
        return self

    @model_validator(mode="after")
    def _webhook_is_http(self) -> Settings:
        if self.webhook_url is not None and not _is_http(self.webhook_url):
            raise ValueError("RETS_PIPELINE_WEBHOOK_URL: must be an http(s) address")
        return self

    @property
    def database_description(self) -> str:
        """The database without user and password, for people to read."""
        scheme, _, rest = self.database_url.partition("://")
        if scheme.startswith("sqlite"):
            return self.database_url
        # A password may hold any character that should have been encoded, so only what is left
        # of the last @ and looks like a place is shown.
        rest = rest.partition("?")[0] if "@" not in rest.partition("?")[2] else ""
        place = _PLACE.fullmatch(rest.rpartition("@")[2])
        return f"{scheme.partition('+')[0]}://{place.group() if place and rest else '…'}"

    def feed(self, name: str) -> FeedConfig:
        """The feed of that name.

        Raises:
            SettingsError: its entry cannot be used, or there is none; the message says why, or
                lists those that exist.
        """
        if name in self.broken:
            raise SettingsError(self.broken[name])
        try:
            return self.feeds[name]
        except KeyError:
            known = ", ".join(self.feeds) or "none"
            raise SettingsError(f"feed {name!r} is not in feeds.yaml (it has: {known})") from None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read ``RETS_PIPELINE_FEEDS`` (default ``feeds.yaml``) and the environment.

        Variables: ``RETS_PIPELINE_HOME``, ``RETS_PIPELINE_FEEDS``, ``RETS_PIPELINE_AUTOMATION``,
        ``RETS_PIPELINE_REPOSITORY``, ``RETS_PIPELINE_BRANCH``, ``RETS_PIPELINE_WEBHOOK_URL``,
        ``RETS_PIPELINE_EVENT_LOG_DAYS``, ``DATABASE_URL``, ``ARCHIVE_URI``.

        Raises:
            SettingsError: a file or value cannot be used; an entry of one feed is :attr:`broken`.
        """
        environ = os.environ if environ is None else environ
        home = Path(environ.get("RETS_PIPELINE_HOME") or ".rets_pipeline").absolute()
        path = Path(environ.get("RETS_PIPELINE_FEEDS") or "feeds.yaml")
        database = environ.get("DATABASE_URL") or f"sqlite:///{home / 'warehouse.sqlite'}"
        feeds, broken = read_feeds(path, environ)
        try:
            return cls(
                feeds=feeds,
                broken=broken,
                database_url=database,
                archive_uri=environ.get("ARCHIVE_URI") or str(home / "archive"),
                home=home,
                automation=_flag(environ, "RETS_PIPELINE_AUTOMATION"),
                repository_url=environ.get("RETS_PIPELINE_REPOSITORY", ""),
                repository_branch=environ.get("RETS_PIPELINE_BRANCH") or "main",
                webhook_url=environ.get("RETS_PIPELINE_WEBHOOK_URL") or None,
                event_log_days=_days(environ, "RETS_PIPELINE_EVENT_LOG_DAYS", 30),
            )
        except ValidationError as error:
            raise SettingsError(_one_line(error)) from None


def log_form(environ: Mapping[str, str] | None = None) -> Literal["text", "json"] | None:
    """How runs write lines to standard error, from ``RETS_PIPELINE_LOG``; None: warnings only.

    Raises:
        SettingsError: it is neither empty nor ``text`` nor ``json``.
    """
    environ = os.environ if environ is None else environ
    text = environ.get("RETS_PIPELINE_LOG", "").strip().lower()
    if text == "text":
        return "text"
    if text == "json":
        return "json"
    if text:
        raise SettingsError(f"RETS_PIPELINE_LOG: {text!r} is neither text nor json")
    return None


def read_feeds(
    path: Path, environ: Mapping[str, str]
) -> tuple[dict[str, FeedConfig], dict[str, str]]:
    """The feeds of a file, and the faults of those that cannot be used, by name.

    ``${NAME}`` and ``${NAME:-default}`` inside a value are replaced from ``environ``.

    Raises:
        SettingsError: the file is missing, no YAML, or holds no feeds.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not YAML (it is not in UTF-8)") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise SettingsError(f"{path}: is not YAML ({_yaml_reason(error)})") from None
    entries = document.get("feeds") if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise SettingsError(f"{path}: must hold `feeds:` with a feed's name and settings below it")
    unknown = sorted(str(key) for key in document if key != "feeds")
    if unknown:
        raise SettingsError(
            f"{path}: unknown setting {', '.join(map(repr, unknown))} (only `feeds` is known)"
        )
    feeds: dict[str, FeedConfig] = {}
    broken: dict[str, str] = {}
    for name, entry in entries.items():
        try:
            feeds[str(name)] = _feed(path, str(name), entry, environ)
        except SettingsError as error:
            broken[str(name)] = str(error)
    return feeds, broken


def _feed(path: Path, name: str, entry: object, environ: Mapping[str, str]) -> FeedConfig:
    if not isinstance(entry, dict):
        raise SettingsError(f"{path}: feed {name!r}: must hold settings, such as `login_url: …`")
    if "name" in entry:
        raise SettingsError(f"{path}: feed {name!r}: name: stands above its settings already")
    try:
        return FeedConfig.model_validate({"name": name, **_expand(entry, environ)})
    except RecursionError:
        raise SettingsError(f"{path}: feed {name!r}: holds itself") from None
    except ValidationError as error:
        raise SettingsError(f"{path}: feed {name!r}: {_one_line(error)}") from None
    except KeyError as error:
        raise SettingsError(
            f"{path}: feed {name!r}: the environment has no variable {error.args[0]}"
        ) from None


def _expand(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: _variable(match, environ), value)
    if isinstance(value, dict):
        return {key: _expand(item, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, environ) for item in value]
    return value


def _variable(match: re.Match[str], environ: Mapping[str, str]) -> str:
    name, default = match.group(1), match.group(2)
    if default is None:
        return environ[name]
    return environ.get(name) or default


def _one_line(error: ValidationError) -> str:
    """Pydantic's findings without the offending input, which might be a secret."""
    findings = []
    for finding in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in finding["loc"])
        message = finding["msg"].removeprefix("Value error, ")
        findings.append(f"{place}: {message}" if place else message)
    return "; ".join(findings)


class _Loader(yaml.SafeLoader):
    """YAML's safe subset, with a line number for what Python refuses, and no key twice."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, LookupError):  # 2026-02-30, say
            raise yaml.constructor.ConstructorError(
                None, None, "a value that does not exist", node.start_mark
            ) from None

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        assert node is not None
        known: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in known:
                problem = f"{key.value!r} occurs twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            known.add(str(key.value))
        return node


def _yaml_reason(error: Exception) -> str:
    """The line and the fault, without aliases and tags, which might be half a password."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or type(error).__name__)
    if "occurs twice" not in problem:
        problem = _QUOTED.sub("'…'", problem)
    return f"line {mark.line + 1}: {problem}" if mark is not None else problem


def _flag(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name, "").strip().lower()
    if text in ("", "0", "no", "false", "off"):
        return False
    if text in ("1", "yes", "true", "on"):
        return True
    raise SettingsError(f"{name}: {text!r} is neither yes nor no")


def _days(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "").strip() or str(default)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 100_000:
        raise SettingsError(f"{name}: {text!r} is no number of days")
    return int(text)
