"""Login answers in all their shapes."""

from __future__ import annotations

from typing import Any

import pytest

from rets_pipeline.rets import ConfigurationFault

from .bench import KEY, Bench, proves

SHAPES = [
    proves("capability_blanks", "Trims keys and values."),
    proves("capability_spaced", "Trims keys and values."),
    proves("capability_line_feeds", "Takes any line ends."),
    proves("capability_info_lines", "Reads `Info=key;type;value`."),
    proves("capability_keys_lower_case", "Knows keys in any case."),
    proves("login_tags_lower_case", "Knows the tags in any case."),
    proves("login_without_response_element", "Takes the lines wherever they stand."),
    proves("capability_noise", "Skips lines that are no pairs."),
    proves("capability_absolute", "Takes absolute addresses."),
    proves("capability_from_root", "Resolves addresses as RFC 3986 says; the port stays."),
    proves("capability_relative", "Resolves addresses as RFC 3986 says; the port stays."),
    proves("capability_without_scheme", "Resolves addresses as RFC 3986 says; the port stays."),
    proves("login_bulletin", "Keeps everything else that the login says."),
    proves("capability_value_with_equals", "Splits a line at its first equals sign only."),
    proves("login_query_unwanted", "Leaves the query of the login's address behind."),
    proves("attributes_odd", "Reads the opening tag as XML."),
]


@pytest.mark.parametrize("server", ["generic", "ddf"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_login_answer_is_understood(bench: Bench, name: str, server: str) -> None:
    bench.switch_on(name, times=None)
    session = bench.open(server, query="?tenant=7&x=1" if name == "login_query_unwanted" else "")
    capabilities = session.login()
    form = "COMPACT" if server == "generic" else "DDF"
    assert bench.read(form, session) == bench.truth(form)
    assert {"Search", "Logout", "GetMetadata", "GetObject", "Login"} <= set(capabilities.urls)
    information = {key.lower(): value for key, value in capabilities.information.items()}
    assert information["membername"] == ("Zoé Élite" if server == "generic" else "sandbox")
    session.logout()
    assert bench.happened()[0] >= 1


def test_everything_that_a_login_says_is_kept(bench: Bench) -> None:
    bench.switch_on("login_bulletin")
    information = bench.open().login().information
    assert information["X-Bulletin"] == "Closed on Sunday; see http://example.com/?a=1"
    assert information["TimeoutSeconds"] == "1800"
    assert information["User"] == "sandbox,3,AGT,17"


@pytest.mark.fault("capability_on_other_host", does="Asks there, by a challenge of its own.")
def test_a_transaction_on_another_host(bench: Bench) -> None:
    bench.switch_on("capability_on_other_host")
    session = bench.open()
    assert "localhost" in session.login().urls["GetObject"]
    assert bench.read("COMPACT", session) == bench.truth("COMPACT")


MISSING = [
    proves("capability_missing", "Complains only when the transaction is used.", {}),
    proves(
        "capability_unusable",
        "Complains only when the transaction is used.",
        {"capability": "GetMetadata"},
    ),
]


@pytest.mark.parametrize(("name", "settings"), MISSING)
def test_a_transaction_without_a_usable_address(
    bench: Bench, name: str, settings: dict[str, Any]
) -> None:
    bench.switch_on(name, **settings)
    session = bench.open()
    assert bench.read("COMPACT", session) == bench.truth("COMPACT")
    with pytest.raises(ConfigurationFault, match="GetMetadata"):
        session.get_metadata("METADATA-SYSTEM")


@pytest.mark.parametrize(("name", "settings"), MISSING)
def test_the_configuration_may_know_better(
    bench: Bench, name: str, settings: dict[str, Any]
) -> None:
    bench.switch_on(name, **settings)
    session = bench.open(capabilities={"GetMetadata": "/rets/metadata"})
    assert session.get_metadata("METADATA-SYSTEM").tables
    with session.get_object("Property", "Photo", {str(KEY): 1}) as objects:
        assert len(list(objects)) == 1
