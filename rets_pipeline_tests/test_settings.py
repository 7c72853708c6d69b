"""Settings: what is read, and what is said of whatever cannot be used."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from rets_pipeline.settings import FeedConfig, Settings, SettingsError, read_feeds

SECRET = "hunter2"
FEED: dict[str, Any] = {
    "source": "ddf",
    "login_url": "https://data.example.com/Login.svc/Login",
    "username_variable": "BOARD_USERNAME",
    "password_variable": "BOARD_PASSWORD",
    "first_day": "2026-01-31",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feeds.yaml"


def read(path: Path, text: str | bytes, **environ: str) -> dict[str, FeedConfig]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    feeds, broken = read_feeds(path, environ)
    for message in broken.values():
        raise SettingsError(message)
    return feeds


def feed(path: Path, without: str = "", **changes: Any) -> FeedConfig:
    settings = {name: value for name, value in FEED.items() if name != without}
    return read(path, yaml.safe_dump({"feeds": {"board": {**settings, **changes}}}))["board"]


def complaint(path: Path, text: str | bytes, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(path, text, **environ)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert SECRET not in message
    assert caught.value.__cause__ is None
    return message.removeprefix(f"{path}: ")


def complaint_about(path: Path, without: str = "", **changes: Any) -> str:
    settings = {name: value for name, value in FEED.items() if name != without}
    document = yaml.safe_dump({"feeds": {"board": {**settings, **changes}}}, allow_unicode=True)
    message = complaint(path, document)
    assert message.startswith("feed 'board': ")
    return message.removeprefix("feed 'board': ")


# What is read -------------------------------------------------------------------------------------


def test_a_feed_with_the_least_that_it_needs(path: Path) -> None:
    found = feed(path)
    assert (found.name, found.protocol, found.source) == ("board", "rets", "ddf")
    assert found.first_day == date(2026, 1, 31)
    assert found.rets_version == "RETS/1.7.2"
    assert found.listings_per_request == 100
    assert (found.deletion_guard.keys, found.deletion_guard.share) == (20, 0.10)
    assert (found.photos.sizes, found.photos.hosts) == (("large",), ())
    assert found.photos.allow_private_addresses is False


def test_feeds_keep_the_order_of_the_file(path: Path) -> None:
    document = {"feeds": dict.fromkeys(("zebra", "apple", "mango"), FEED)}
    found = read(path, yaml.safe_dump(document, sort_keys=False))
    assert list(found) == ["zebra", "apple", "mango"]
    assert [item.name for item in found.values()] == list(found)


def test_no_feed_at_all_is_allowed(path: Path) -> None:
    assert read(path, "feeds: {}") == {}


def test_a_day_may_be_written_with_or_without_quotes(path: Path) -> None:
    assert feed(path, first_day=date(2026, 1, 30)).first_day == date(2026, 1, 30)


def test_a_file_with_a_byte_order_mark(path: Path) -> None:
    document = yaml.safe_dump({"feeds": {"board": FEED}})
    assert list(read(path, b"\xef\xbb\xbf" + document.encode())) == ["board"]


def test_the_feeds_that_the_repository_ships() -> None:
    found, broken = read_feeds(Path(__file__).parents[1] / "feeds.yaml", {})
    assert broken == {}
    assert found["sandbox"].login_url == "http://127.0.0.1:8642/Login.svc/Login"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${HOST}", "h.example.com"),
        ("${HOST:-other}", "h.example.com"),
        ("${NONE:-other}", "other"),
        ("${EMPTY:-other}", "other"),
        ("${NONE:-}", ""),
        ("a${HOST}b${HOST}", "ah.example.combh.example.com"),
        ("$HOST ${", "$HOST ${"),
        ("${NESTED}", "${HOST}"),
    ],
)
def test_variables(path: Path, text: str, expected: str) -> None:
    document = yaml.safe_dump({"feeds": {"board": {**FEED, "user_agent": f"x{text}"}}})
    found = read(path, document, HOST="h.example.com", EMPTY="", NESTED="${HOST}")
    assert found["board"].user_agent == f"x{expected}"


def test_variables_deeper_inside(path: Path) -> None:
    photos = {"hosts": ["${HOST}", "*.${HOST}"], "connections": "${CONNECTIONS}"}
    document = yaml.safe_dump({"feeds": {"board": {**FEED, "photos": photos}}})
    found = read(path, document, HOST="h.example.com", CONNECTIONS="3")["board"]
    assert found.photos.hosts == ("h.example.com", "*.h.example.com")
    assert found.photos.connections == 3


def test_a_variable_that_is_missing_is_named(path: Path) -> None:
    document = yaml.safe_dump({"feeds": {"board": {**FEED, "user_agent": "${NOWHERE}"}}})
    assert complaint(path, document, OTHER=SECRET) == (
        "feed 'board': the environment has no variable NOWHERE"
    )


# Files that are none ------------------------------------------------------------------------------


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, reason in (
        (tmp_path / "none.yaml", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(SettingsError) as caught:
            read_feeds(path, {})
        assert str(caught.value) == f"{path}: cannot be read ({reason})"


@pytest.mark.parametrize(
    "text",
    ["", "# nothing\n", "feeds:\n", "feeds: 5\n", "feeds:\n  - board\n", "- feeds\n", "feeds\n",
     "null\n", "other: {}\n"],
)  # fmt: skip
def test_files_without_feeds(path: Path, text: str) -> None:
    assert complaint(path, text) == "must hold `feeds:` with a feed's name and settings below it"


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("feeds:\n\tboard: {}\n", 2, "cannot start any token"),
        ("feeds: {board: [}\n", 1, "expected"),
        ("feeds:\n  board: {a: 1\n", 3, "expected"),
        ('feeds:\n  board: "open\n', 3, "end of stream"),
        ("feeds: {}\n---\nfeeds: {}\n", 2, "another document"),
        ("feeds:\n  board:\n    first_day: 2026-02-30\n", 3, "a value that does not exist"),
        ("feeds:\n  board:\n    first_day: 2026-13-01 10:00:00\n", 3, "a value that does not"),
        (f"feeds:\n  board:\n    x: !!int {SECRET}\n", 3, "a value that does not exist"),
        (f"feeds:\n  board:\n    x: !!timestamp {SECRET}\n", 3, "a value that does not exist"),
        (f"feeds:\n  board:\n    x: !!bool {SECRET}\n", 3, "a value that does not exist"),
        (f"feeds:\n  board:\n    password: *{SECRET}\n", 3, "undefined alias"),
        (f"feeds:\n  board:\n    password: !{SECRET} x\n", 3, "tag"),
        (f"feeds:\n  board:\n    password: !{SECRET}!x y\n", 3, "tag handle"),
        (f"feeds:\n  board:\n    password: %{SECRET}\n", 3, "cannot start any token"),
        ("feeds:\n  board: !!python/object/apply:os.system ['true']\n", 2, "tag"),
        ("feeds:\n  ? [a]\n  : b\n", 2, "unhashable"),
        ("feeds:\n  board: {}\n  board: {}\n", 3, "'board' occurs twice"),
        ("feeds:\n  board:\n    source: a\n    source: b\n", 4, "'source' occurs twice"),
        ("feeds: {}\nfeeds: {}\n", 2, "'feeds' occurs twice"),
    ],
)
def test_files_that_are_no_yaml(path: Path, text: str, line: int, problem: str) -> None:
    message = complaint(path, text)
    assert message.startswith(f"is not YAML (line {line}: ")
    assert problem in message


@pytest.mark.parametrize(
    "text",
    [b"\xff\xfe\x00", "feeds: é".encode("latin-1"), b"feeds: \x00", b"feeds: \x07", b"[" * 1_000],
)
def test_files_that_are_no_text(path: Path, text: bytes) -> None:
    assert complaint(path, text).startswith("is not YAML (")


@pytest.mark.parametrize("text", ["feeds: &a\n  board: *a\n", "feeds:\n  board: &a\n    b: [*a]\n"])
def test_a_feed_that_holds_itself(path: Path, text: str) -> None:
    assert complaint(path, text) == "feed 'board': holds itself"


def test_merged_settings_are_fine(path: Path) -> None:
    document = yaml.safe_dump({"feeds": {"one": FEED}}).replace("one:", "one: &one")
    found = read(
        path,
        document + "  two: &two {<<: *one, user_agent: x}\n  three: {<<: *two, user_agent: y}\n",
    )
    assert [item.user_agent for item in found.values()] == ["rets_pipeline/0.1", "x", "y"]


def test_other_settings_beside_the_feeds(path: Path) -> None:
    message = complaint(path, 'feeds: {}\nfoo: 1\n"b\\na": 2\n')
    assert message == "unknown setting 'b\\na', 'foo' (only `feeds` is known)"


@pytest.mark.parametrize("entry", ["", "5", "text", "[a, b]"])
def test_a_feed_that_holds_no_settings(path: Path, entry: str) -> None:
    message = complaint(path, f"feeds:\n  board: {entry}\n")
    assert message == "feed 'board': must hold settings, such as `login_url: …`"


def test_a_name_stands_above_its_settings(path: Path) -> None:
    assert complaint_about(path, name="other").startswith("name: ")
    for name in ("Board", "1board", "my-board", "my board", "é", "a" * 41, "a\nb"):
        document = yaml.safe_dump({"feeds": {name: FEED}})
        assert ": name: " in complaint(path, document)
    assert ": name: " in complaint(path, "feeds:\n  7:\n    source: ddf\n")


def test_a_wrong_entry_breaks_its_own_feed_only(path: Path) -> None:
    entries = {
        "good": FEED,
        "East Side": FEED,
        "empty": None,
        "unset": {**FEED, "login_url": "${NO_SUCH_ADDRESS}"},
        "wrong": {**FEED, "cadence_minutes": 7},
        "last": FEED,
    }
    path.write_text(yaml.safe_dump({"feeds": entries}, sort_keys=False))
    settings = Settings.from_env({"RETS_PIPELINE_FEEDS": str(path)})
    assert list(settings.feeds) == ["good", "last"]
    assert list(settings.broken) == ["East Side", "empty", "unset", "wrong"]
    assert settings.feed("last").name == "last"
    for name, part in (
        ("East Side", ": name: "),
        ("empty", "must hold settings"),
        ("unset", "the environment has no variable NO_SUCH_ADDRESS"),
        ("wrong", "cadence_minutes: must divide an hour"),
    ):
        with pytest.raises(SettingsError, match=rf"feeds.yaml: feed '{name}': .*") as caught:
            settings.feed(name)
        assert part in str(caught.value) == settings.broken[name]


# Settings that cannot be used ---------------------------------------------------------------------


@pytest.mark.parametrize("field", list(FEED))
def test_what_is_needed(path: Path, field: str) -> None:
    assert complaint_about(path, without=field) == f"{field}: Field required"


@pytest.mark.parametrize("value", [5, None, True, ["a"], {"a": 1}])
@pytest.mark.parametrize("field", ["login_url", "source", "username_variable", "first_day"])
def test_values_of_a_wrong_type(path: Path, field: str, value: object) -> None:
    assert complaint_about(path, "", **{field: value}).startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("login_url", f"user:{SECRET}@host/Login"),
        ("login_url", f"https://user:{SECRET}@data.example.com/Login"),
        ("login_url", f"https://{SECRET}@data.example.com/Login"),
        ("login_url", f"https://data.example.com:{SECRET}/Login"),
        ("login_url", f"https://[{SECRET}/Login"),
        ("login_url", "ftp://data.example.com/Login"),
        ("login_url", "https:///Login"),
        ("login_url", ""),
        ("source", SECRET),
        ("protocol", SECRET),
        ("username_variable", f"{SECRET}!"),
        ("password_variable", f"my {SECRET}"),
        ("password_variable", ""),
        ("first_day", "yesterday"),
        ("first_day", 20260131),
        ("first_day", "20260131"),
        ("first_day", 86_400 * 365),
        ("first_day", "2026-01-31T00:00:00"),
        ("first_day", "2026-02-30"),
        ("first_day", datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("first_day", (datetime.now(UTC) + timedelta(days=2)).date()),
        ("rets_version", "1.7.2"),
        ("rets_version", "RETS/1.7.2\r\nX: y"),
        ("user_agent", ""),
        ("timeout_seconds", 0),
        ("timeout_seconds", -1),
        ("timeout_seconds", float("inf")),
        ("timeout_seconds", float("nan")),
        ("listings_per_request", 0),
        ("listings_per_request", 101),
        ("listings_per_request", "many"),
        ("listings_per_run", 0),
        ("cadence_minutes", 0),
        ("cadence_minutes", 7),
        ("cadence_minutes", 90),
        ("cadence_minutes", 1500),
        ("lock_wait_seconds", -1),
        ("owners", ["somebody"]),
        ("owners", "team:x"),
        ("photos.hosts", "*.example.com"),
        ("photos.sizes", ["huge"]),
        ("photos.strategies", []),
        ("photos.strategies", ["guess"]),
        ("photos.base_url", "cdn.example.com"),
        ("photos.base_url", "https://user:secret@cdn.example.com/"),
        ("photos.base_url", "https://cdn.example.com/?token=secret"),
        ("photos.base_url", "file:///etc"),
        ("photos.sizes", []),
        ("photos.connections", 0),
        ("photos.max_bytes", 5),
        ("photos.unknown", 1),
        ("photos", 5),
        ("deletion_guard.keys", -1),
        ("deletion_guard.share", 1.5),
        ("deletion_guard.share", float("nan")),
        ("deletion_guard.unknown", 1),
        ("password", SECRET),
    ],
)
def test_values_that_cannot_be_used(path: Path, field: str, value: object) -> None:
    outer, _, inner = field.partition(".")
    message = complaint_about(path, "", **{outer: {inner: value} if inner else value})
    assert message.startswith(field)


def test_every_fault_is_told_in_one_line(path: Path) -> None:
    message = complaint_about(path, without="source", cadence_minutes=7, unknown=SECRET)
    assert [part.partition(": ")[0] for part in message.split("; ")] == [
        "source", "cadence_minutes", "unknown",
    ]  # fmt: skip


@pytest.mark.parametrize("minutes", [1, 2, 3, 5, 15, 30, 60, 120, 360, 1440])
def test_cadences_that_fit_the_clock(path: Path, minutes: int) -> None:
    assert feed(path, cadence_minutes=minutes).cadence_minutes == minutes


def test_an_error_of_pydantics_shows_no_input() -> None:
    with pytest.raises(ValidationError) as caught:
        FeedConfig.model_validate({"name": "board", "password": SECRET, "login_url": SECRET})
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)


# The environment ----------------------------------------------------------------------------------


def from_env(tmp_path: Path, **environ: str) -> Settings:
    path = tmp_path / "feeds.yaml"
    path.write_text(yaml.safe_dump({"feeds": {"board": FEED}}))
    return Settings.from_env({"RETS_PIPELINE_FEEDS": str(path), **environ})


def refusal(tmp_path: Path, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        from_env(tmp_path, **environ)
    message = str(caught.value)
    assert SECRET not in message
    assert "\n" not in message
    assert caught.value.__cause__ is None
    return message


def test_what_is_kept_where_nothing_is_configured(tmp_path: Path) -> None:
    home = tmp_path / "home"
    found = from_env(tmp_path, RETS_PIPELINE_HOME=str(home), DATABASE_URL="", ARCHIVE_URI="")
    assert found.home == home
    assert found.database_url == f"sqlite:///{home}/warehouse.sqlite"
    assert found.archive_uri == str(home / "archive")
    assert found.automation is False
    assert not home.exists()
    assert from_env(tmp_path).home == Path.cwd() / ".rets_pipeline"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", True), ("yes", True), (" TRUE ", True), ("on", True), ("", False), ("0", False),
     ("No", False), ("off", False), ("false", False)],
)  # fmt: skip
def test_automation(tmp_path: Path, text: str, expected: bool) -> None:
    assert from_env(tmp_path, RETS_PIPELINE_AUTOMATION=text).automation is expected


def test_where_alerts_go(tmp_path: Path) -> None:
    assert from_env(tmp_path).webhook_url is None
    url = f"https://hooks.example.com/services/{SECRET}"
    found = from_env(tmp_path, RETS_PIPELINE_WEBHOOK_URL=url)
    assert found.webhook_url == url
    assert SECRET not in repr(found)


@pytest.mark.parametrize("address", [SECRET, f"ftp://host/{SECRET}", f"http://:0/{SECRET}"])
def test_alerts_go_over_http(tmp_path: Path, address: str) -> None:
    assert refusal(tmp_path, RETS_PIPELINE_WEBHOOK_URL=address) == (
        "RETS_PIPELINE_WEBHOOK_URL: must be an http(s) address"
    )


def test_automation_that_is_neither(tmp_path: Path) -> None:
    assert refusal(tmp_path, RETS_PIPELINE_AUTOMATION="maybe") == (
        "RETS_PIPELINE_AUTOMATION: 'maybe' is neither yes nor no"
    )


def test_days_of_the_event_log(tmp_path: Path) -> None:
    assert from_env(tmp_path).event_log_days == 30
    assert from_env(tmp_path, RETS_PIPELINE_EVENT_LOG_DAYS=" 7 ").event_log_days == 7
    for text in ("0", "-1", "a week", "1.5", "²"):
        assert refusal(tmp_path, RETS_PIPELINE_EVENT_LOG_DAYS=text) == (
            f"RETS_PIPELINE_EVENT_LOG_DAYS: {text!r} is no number of days"
        )


def test_the_nights_of_a_feed(path: Path) -> None:
    found = feed(path)
    assert (found.reconcile.hour, found.reconcile.sample) == (3, 0.01)
    assert found.retention.gone_pull_days < found.retention.pull_days
    changed = feed(path, reconcile={"hour": 0, "sample": 0}, retention={"tombstone_days": 1})
    assert (changed.reconcile.hour, changed.retention.tombstone_days) == (0, 1)
    for wrong in ({"reconcile": {"hour": 24}}, {"reconcile": {"sample": 1.1}},
                  {"retention": {"pull_days": 0}}, {"retention": {"blobs": 1}}):  # fmt: skip
        with pytest.raises(SettingsError):
            feed(path, **wrong)


@pytest.mark.parametrize(
    "address", [SECRET, f"mysql://u:{SECRET}@h/d", f"//u:{SECRET}@h", f"{SECRET}:x", "SQLITE:///x"]
)
def test_databases_that_are_not_supported(tmp_path: Path, address: str) -> None:
    assert refusal(tmp_path, DATABASE_URL=address).startswith("DATABASE_URL: ")


@pytest.mark.parametrize("address", [f"{SECRET}://x", "gs://bucket", f"http://u:{SECRET}@h/x"])
def test_archives_that_are_not_supported(tmp_path: Path, address: str) -> None:
    assert refusal(tmp_path, ARCHIVE_URI=address).startswith("ARCHIVE_URI: ")


@pytest.mark.parametrize(
    ("address", "description"),
    [
        (f"postgresql://user:{SECRET}@db.example.com/mirror", "postgresql://db.example.com/mirror"),
        (f"postgresql+psycopg://u:{SECRET}@h:5433/m", "postgresql://h:5433/m"),
        (f"postgres://u:{SECRET}@h/m?sslmode=require", "postgres://h/m"),
        (f"postgresql://h/m?user=u&password={SECRET}", "postgresql://h/m"),
        (f"postgresql://u:12/34{SECRET}@h/m", "postgresql://h/m"),
        (f"postgresql://u:a#{SECRET}@h/m", "postgresql://h/m"),
        (f"postgresql://u:a@{SECRET}@h/m", "postgresql://h/m"),
        (f"postgresql://u:a?{SECRET}@h/m", "postgresql://…"),
        (f"postgresql://h/m?password=a@{SECRET}", "postgresql://…"),
        (f"postgresql://u:{SECRET}@[::1]:5432/m", "postgresql://[::1]:5432/m"),
        (f"postgresql://u:{SECRET}@/m", "postgresql:///m"),
        (f"postgresql://u:{SECRET}@h:port/m", "postgresql://h:port/m"),
        ("sqlite:////var/lib/mirror.sqlite", "sqlite:////var/lib/mirror.sqlite"),
    ],
)
def test_a_database_is_described_without_its_password(
    tmp_path: Path, address: str, description: str
) -> None:
    found = from_env(tmp_path, DATABASE_URL=address)
    assert found.database_description == description
    assert SECRET not in repr(found)
    assert SECRET not in str(found)
    assert SECRET not in f"{found!r}{found.feeds}"


def test_no_error_shows_the_database(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(
            feeds={},
            database_url=f"postgresql://u:{SECRET}@h/m",
            archive_uri="gs://bucket",
            home=tmp_path,
        )
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_a_feed_that_does_not_exist_is_told_with_those_that_do(tmp_path: Path) -> None:
    found = from_env(tmp_path)
    assert found.feed("board").name == "board"
    with pytest.raises(SettingsError, match=r"feed 'other' is not in feeds.yaml \(it has: board\)"):
        found.feed("other")
    empty = found.model_copy(update={"feeds": {}})
    with pytest.raises(SettingsError, match=r"\(it has: none\)"):
        empty.feed("board")


@pytest.mark.parametrize("end", ["", "/"])
def test_the_address_of_a_websites_photos_ends_with_a_slash(path: Path, end: str) -> None:
    photos = {"base_url": f"https://cdn.example.com/mirror{end}"}
    assert feed(path, photos=photos).photos.base_url == "https://cdn.example.com/mirror/"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("https://github.com/owner/name", "https://github.com/owner/name"),
        ("https://github.com/owner/name.git", "https://github.com/owner/name"),
        ("https://code.example:8443/a/b-c/d_e/", "https://code.example:8443/a/b-c/d_e"),
    ],
)
def test_the_repository_that_the_ui_links_to(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "feeds.yaml"
    path.write_text("feeds: {}", encoding="utf-8")
    environ = {"RETS_PIPELINE_FEEDS": str(path), "RETS_PIPELINE_REPOSITORY": text}
    found = Settings.from_env({**environ, "RETS_PIPELINE_BRANCH": ""})
    assert found.repository_url == expected
    assert found.repository_branch == "main"


@pytest.mark.parametrize(
    "text",
    [
        "https://ghp_token123@github.com/owner/name",
        "https://user:token123@github.com/owner/name",
        "git@github.com:owner/token123.git",
        "javascript:token123",
        "https://github.com/owner/name?token123",
        "https://github.com/owner/na)me[token123",
    ],
)
def test_a_repository_that_is_no_page_is_refused_and_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "feeds.yaml"
    path.write_text("feeds: {}", encoding="utf-8")
    environ = {"RETS_PIPELINE_FEEDS": str(path), "RETS_PIPELINE_REPOSITORY": text}
    with pytest.raises(SettingsError, match="RETS_PIPELINE_REPOSITORY") as refused:
        Settings.from_env(environ)
    assert "token123" not in str(refused.value)
