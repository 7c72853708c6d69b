"""HTTP, the frame of an answer, trailers, connections, redirects, logout."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any

import pytest

from rets_pipeline.rets import (
    ConfigurationFault,
    CountMismatch,
    DataBroken,
    NotRets,
    QueryRefused,
    RetryLater,
    RetsError,
    Truncated,
)

from .bench import FORMATS, KEY, Bench, proves

GOOD = [
    proves("content_type_odd", "Goes by the document, not by the Content-Type.", {}),
    proves("content_type_missing", "Goes by the document, not by the Content-Type.", {}),
    proves("success_under_4xx", "Lets the RETS document decide, not the status.", {}),
    proves("blanks_before_prolog", "Skips the blanks.", {}),
    proves("attributes_odd", "Reads the opening tag as XML.", {}),
    proves("tags_lower_case", "Knows the frame's tags in any case.", {}),
    proves("comment_behind_end", "Skips it.", {}),
    proves("status_trailer_success", "Takes it for what it says.", {}),
    proves("gzip_unasked", "Unpacks it.", {}),
    proves("slow_drip", "Reads on as long as bytes come.", {"piece": 2_000, "pause": 0.001}),
    proves("late", "Waits until its time-out.", {"seconds": 0.05}),
    proves("expect_refused", "Never sends `Expect`.", {"times": None}),
    proves("get_refused", "Posts unless it is told otherwise.", {"times": None}),
    proves("plus_is_a_blank", "Encodes every character of a query.", {"times": None}),
    proves("redirect", "Follows a redirect within the server.", {}),
]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("name", "settings"), GOOD)
def test_what_may_be_read_is_read(
    bench: Bench, form: str, name: str, settings: dict[str, Any]
) -> None:
    bench.session(form).login()
    bench.switch_on(name, transaction="Search", **settings)
    assert bench.read(form) == bench.truth(form)
    assert bench.happened()[0] >= 1
    assert bench.waits == []


BAD = [
    proves("html_under_200", "Says that it is no RETS, with the page's first words.", {}, NotRets),
    proves("text_under_200", "Says that it is no RETS, with the text's first words.", {}, NotRets),
    proves("empty_under_200", "An empty answer is cut off.", {}, Truncated),
    proves("refusal_under_4xx", "Reads the code in the body of a 4xx.", {}, QueryRefused),
    proves("reply_code_unreadable", "Refuses an answer without a code.", {}, DataBroken),
    proves("second_document", "Refuses what comes behind the end.", {}, DataBroken),
    proves("status_trailer", "Takes the success back: the trailer decides.", {}, QueryRefused),
    proves(
        "cut_at_share", "An error, with the number of whole rows.", {}, Truncated, case="broken"
    ),
    proves(
        "cut_at_share",
        "An error, with the number of whole rows.",
        {"ending": "clean"},
        Truncated,
        case="clean",
    ),
    proves(
        "cut_at_share",
        "An error, with the number of whole rows.",
        {"ending": "reset"},
        RetsError,
        case="reset",
    ),
    proves("cut_at_byte", "An error before any row.", {"byte": 60}, Truncated),
    proves("closing_tag_missing", "Without the closing tag nothing counts.", {}, Truncated),
    proves("gzip_damaged", "An error.", {}, DataBroken),
    proves("gzip_cut", "An error.", {}, DataBroken),
    proves("content_length_too_large", "An error though the document is whole.", {}, Truncated),
    proves("redirect_to_other_host", "Never carries credentials there.", {}, ConfigurationFault),
]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("name", "settings", "kind"), BAD)
def test_what_may_not_be_read_is_an_error(
    bench: Bench, form: str, name: str, settings: dict[str, Any], kind: type[RetsError]
) -> None:
    bench.session(form).login()
    bench.switch_on(name, transaction="Search", **settings)
    with pytest.raises(kind) as caught:
        bench.read(form)
    assert bench.happened() == [1]
    assert len(str(caught.value)) < 500
    assert "Search" in str(caught.value)
    # The session goes on.
    assert bench.read(form) == bench.truth(form)


@pytest.mark.parametrize("ending", ["broken", "reset", "clean"])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "name", [proves("cut_after_records", "An error that says how many rows were whole.")]
)
def test_whole_rows_are_counted(bench: Bench, form: str, name: str, ending: str) -> None:
    bench.session(form).login()
    bench.switch_on(name, records=12, ending=ending)
    with pytest.raises(RetsError) as caught:
        bench.read(form)
    assert isinstance(caught.value, Truncated | RetryLater)
    if ending == "reset":  # what was under way may be lost with the connection
        assert caught.value.rows <= 12
    else:
        assert caught.value.rows == 12
        assert "12 whole records" in str(caught.value)


@pytest.mark.parametrize("at", [0.0, 0.01, 0.3, 0.999])
@pytest.mark.parametrize("form", FORMATS)
def test_cut_anywhere(bench: Bench, form: str, at: float) -> None:
    bench.session(form).login()
    bench.switch_on("cut_at_share", at=at, ending="clean")
    with pytest.raises(Truncated):
        bench.read(form)


@pytest.mark.parametrize("transaction", ["Login", "Search"])
@pytest.mark.parametrize(
    "name",
    [
        proves("connection_reset", "Tries again."),
        proves("connection_closed", "Tries again."),
    ],
)
def test_connections_that_break_before_the_answer(
    bench: Bench, name: str, transaction: str
) -> None:
    bench.switch_on(name, transaction=transaction, times=2)
    assert bench.read("COMPACT") == bench.truth("COMPACT")
    assert len(bench.waits) == 2


@pytest.mark.fault(
    "silence", does="Gives up after its time-out, and says how many rows there were."
)
def test_a_server_that_falls_silent(bench: Bench) -> None:
    session = bench.open(timeout=(2, 0.1), retries=0)
    session.login()
    bench.switch_on("silence", seconds=30.0)
    begin = monotonic()
    with pytest.raises(RetryLater) as caught:
        bench.read("COMPACT", session)
    assert monotonic() - begin < 30
    assert 0 < caught.value.rows < 30


@pytest.mark.fault(
    "slow_drip", does="Gives up when the whole answer takes too long (`time_limit`)."
)
def test_an_answer_that_takes_too_long(bench: Bench) -> None:
    session = bench.open(time_limit=0.3, retries=0)
    session.login()
    bench.switch_on("slow_drip", piece=50, pause=0.05)
    with pytest.raises(RetsError):
        bench.read("COMPACT", session)


@pytest.mark.fault("endless_blanks", does="Wants the opening tag within a limit.")
@pytest.mark.parametrize("form", FORMATS)
def test_blanks_without_end(bench: Bench, form: str) -> None:
    bench.session(form).login()
    bench.switch_on("endless_blanks", transaction="Search")
    with pytest.raises(DataBroken):
        bench.read(form)


@pytest.mark.fault("gzip_bomb", does="Unpacks piece by piece, and stops at the limit of a record.")
def test_a_compressed_bomb(bench: Bench) -> None:
    bench.session().login()
    bench.switch_on("gzip_bomb", transaction="Search", bytes=60_000_000)
    with pytest.raises(DataBroken):
        bench.read("STANDARD-XML")


# Login and logout


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("html_under_200", NotRets),
        ("text_under_200", NotRets),
        ("empty_under_200", Truncated),
        ("closing_tag_missing", Truncated),
        ("cut_at_share", Truncated),
        ("gzip_damaged", DataBroken),
        ("reply_code_unreadable", DataBroken),
        ("redirect_to_other_host", ConfigurationFault),
    ],
)
def test_a_bad_login_answer_is_an_error(bench: Bench, name: str, kind: type[RetsError]) -> None:
    bench.switch_on(name, transaction="Login", times=None)
    with pytest.raises(kind):
        bench.open().login()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        proves("logout_401", "Ignores what a logout says.", {}),
        proves("logout_20701", "Ignores what a logout says.", {}),
        proves("logout_20702", "Ignores what a logout says.", {}),
        proves("logout_hangs", "Gives up after its time-out.", {"seconds": 0.2}),
        ("http_503", {"transaction": "Logout"}),
        ("html_under_200", {"transaction": "Logout"}),
        ("connection_reset", {"transaction": "Logout"}),
        ("cut_at_share", {"transaction": "Logout"}),
    ],
)
@pytest.mark.parametrize("server", ["generic", "ddf"])
def test_faults_of_a_logout_are_ignored(
    bench: Bench, server: str, name: str, settings: dict[str, Any]
) -> None:
    session = bench.open(server, timeout=(2, 0.1))
    session.login()
    bench.switch_on(name, **settings)
    session.logout()
    assert bench.happened() == [1]
    assert bench.waits == []


@pytest.mark.parametrize("transaction", ["Login", "Search", "GetMetadata", "GetObject"])
@pytest.mark.parametrize(
    "name", [proves("redirect_without_end", "Gives up after a few redirects.")]
)
def test_redirects_end(bench: Bench, name: str, transaction: str) -> None:
    bench.switch_on(name, transaction=transaction, times=None)
    session = bench.open()
    with pytest.raises(ConfigurationFault, match="without an end"):
        _ask(session, transaction)
    assert bench.happened()[0] <= 7


@pytest.mark.parametrize("transaction", ["Search", "GetMetadata", "GetObject"])
@pytest.mark.fault("post_refused", does="Gets its arguments by GET when it is told to.")
def test_a_server_that_only_takes_get(bench: Bench, transaction: str) -> None:
    bench.switch_on("post_refused", times=None)
    with pytest.raises(RetsError):
        _ask(bench.open(), transaction)
    _ask(bench.open(method="GET"), transaction)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_character_of_a_query_is_encoded(bench: Bench, method: str) -> None:
    bench.switch_on("plus_is_a_blank", times=None)
    session = bench.open(method=method)
    query = '(ListingKey=10000000+),(StreetName="*&*"|"Maple")'.replace('"|"', '","')
    found = {row["ListingKey"] for row in bench.read("COMPACT", session, Query="(ListingKey=0+)")}
    assert len(found) == 30
    streets = {row["StreetName"] for row in bench.read("COMPACT", session, Query=query)}
    assert streets == {
        row["StreetName"]
        for row in bench.truth("COMPACT")
        if "&" in row["StreetName"] or row["StreetName"] == "Maple"
    }


# Secrets

ECHOES = [
    proves("headers_echoed", "Takes every secret out of what it quotes.", {}),
    proves("password_echoed", "Takes every secret out of what it quotes.", {}),
    proves("refusal_long", "Quotes at most 200 characters.", {}),
]


@pytest.mark.parametrize("transaction", ["Search", "GetMetadata", "GetObject"])
@pytest.mark.parametrize(("name", "settings"), ECHOES)
def test_nothing_secret_and_nothing_long_is_quoted(
    bench: Bench,
    name: str,
    settings: dict[str, Any],
    transaction: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "rets_pipeline")
    session = bench.open()
    session.login()
    bench.switch_on(name, transaction=transaction, **settings)
    with pytest.raises(QueryRefused) as caught:
        _ask(session, transaction)
    said = f"{caught.value} {caught.value!r} {caught.value.reply_text} {caplog.text}"
    for secret in (bench.sandbox.password, "response=", "RETS-Session-ID="):
        assert secret not in said
    assert len(str(caught.value)) < 400
    assert len(caught.value.reply_text or "") <= 200


def _ask(session: Any, transaction: str) -> None:
    if transaction in ("Login", "Search"):
        arguments = {"SearchType": "Property", "Class": "RES", "Query": "(ListingKey=0+)"}
        with session.search_compact({**arguments, "Format": "COMPACT", "Count": "1"}) as answer:
            assert len(list(answer)) == 30
    elif transaction == "GetMetadata":
        assert session.get_metadata("METADATA-SYSTEM").tables
    else:
        with session.get_object("Property", "Photo", {str(KEY): "*"}) as objects:
            assert len(list(objects)) == 5


def test_count_proves_what_a_clean_cut_hides(bench: Bench) -> None:
    """A document that is well-formed though records are missing."""
    bench.session().login()
    bench.switch_on("rows_cut", rows=7)
    with pytest.raises(CountMismatch) as caught:
        bench.read("STANDARD-XML")
    assert caught.value.rows == 7
