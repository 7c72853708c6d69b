"""Geocoders over HTTP: what is asked, what is read, what goes wrong."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from rets_pipeline.geocoding.addresses import normalize
from rets_pipeline.geocoding.answers import (
    AddressFault,
    Answer,
    Precision,
    ProviderFault,
    confidence_in,
    precision_in,
)
from rets_pipeline.geocoding.providers import Provider
from rets_pipeline.settings import AddressSettings, GeocoderSettings, SettingsError
from rets_pipeline_tests.geocoding.geocoder_server import (
    GeocoderServer,
    Reply,
    house,
    road,
    town,
)

KEY = "very/secret+key&1"
ADDRESS = normalize(
    street_number="1255", street_name="Main", street_suffix="St", street_dir_suffix="W",
    unit_number="3", city="Vancouver", state_or_province="British Columbia", postal_code="V6B1A1",
)  # fmt: skip

Opens = Callable[..., Provider]


@pytest.fixture
def opens(geocoder: GeocoderServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opens]:
    monkeypatch.setenv("GEOCODER_KEY", KEY)
    opened: list[Provider] = []

    def make(name: str = "nominatim", **more: Any) -> Provider:
        settings: dict[str, Any] = {"name": name, "seconds_between_requests": 0, **more}
        if name != "offline":
            settings.setdefault("host", geocoder.host)
        if name in ("google", "opencage"):
            settings["key_variable"] = "GEOCODER_KEY"
        provider = Provider(GeocoderSettings.model_validate(settings), AddressSettings())
        opened.append(provider)
        return provider

    yield make
    for provider in opened:
        provider.close()


def test_nominatim_is_asked_for_the_parts_of_an_address(
    geocoder: GeocoderServer, opens: Opens
) -> None:
    geocoder.replies = [Reply([house(49.28, -123.11)])]
    found = opens().ask(ADDRESS)
    assert found == Answer(
        49.28, -123.11, "rooftop",  # type: ignore[arg-type]
        "1255, Main Street West, Vancouver, British Columbia, V6B 1A1, Canada", None, "BC",
        "1255", "Main Street West",
    )  # fmt: skip
    (asked,) = geocoder.asked
    assert asked.path == "/search"
    expected = {
        "street": "1255 Main St W", "city": "Vancouver", "state": "BC", "postalcode": "V6B 1A1",
        "country": "Canada", "countrycodes": "ca", "addressdetails": "1", "limit": "1",
        "format": "json",
    }  # fmt: skip
    assert asked.query == expected
    assert asked.headers["user-agent"].startswith("rets_pipeline/")
    assert found is not None
    assert confidence_in(found, ADDRESS) == 1.0


def test_the_user_agent_is_a_setting(geocoder: GeocoderServer) -> None:
    settings = GeocoderSettings(name="nominatim", host=geocoder.host, seconds_between_requests=0)
    addresses = AddressSettings(user_agent="our-site (ops@example.com)")
    Provider(settings, addresses).ask(ADDRESS)
    assert geocoder.asked[0].headers["user-agent"] == "our-site (ops@example.com)"


def google(
    location_type: str, *kinds: str, route: str = "", street_number: str = "", **more: Any
) -> dict[str, Any]:
    names = {"route": route, "street_number": street_number}
    parts = [
        {"short_name": "BC", "types": ["administrative_area_level_1", "political"]},
        {"short_name": "CA", "types": ["country", "political"]},
        {"short_name": "V6B 1A1" if "postal_code" in kinds else "V6B", "types": ["postal_code"]},
        *(
            {"short_name": "x", "long_name": names.get(kind, ""), "types": [kind]}
            for kind in kinds
            if kind != "postal_code"
        ),
    ]
    place = {
        "formatted_address": "1255 Main St W, Vancouver, BC",
        "types": list(kinds),
        "address_components": parts,
        "geometry": {
            "location": {"lat": 49.28, "lng": -123.11},
            "location_type": location_type,
        },
        **more,
    }
    return {"status": "OK", "results": [place]}


def arcgis(kind: str, **attributes: Any) -> dict[str, Any]:
    told = {"Addr_type": kind, "RegionAbbr": "BC", "Country": "CAN", **attributes}
    return {
        "candidates": [
            {
                "address": "1255 Main St W, Vancouver, British Columbia",
                "location": {"x": -123.11, "y": 49.28},
                "score": 97.5,
                "attributes": told,
            }
        ]
    }


def opencage(kind: str, confidence: int = 9, **components: Any) -> dict[str, Any]:
    place = {
        "formatted": "1255 Main Street West, Vancouver, BC V6B 1A1, Canada",
        "geometry": {"lat": 49.28, "lng": -123.11},
        "confidence": confidence,
        "components": {"_type": kind, "country_code": "ca", "state_code": "BC", **components},
    }
    return {"status": {"code": 200, "message": "OK"}, "results": [place]}


def photon(**properties: Any) -> dict[str, Any]:
    told = {"countrycode": "CA", "state": "British Columbia", **properties}
    geometry = {"type": "Point", "coordinates": [-123.11, 49.28]}
    return {"features": [{"geometry": geometry, "properties": told}]}


@pytest.mark.parametrize(
    ("name", "document", "precision"),
    [
        ("nominatim", [house(49.28, -123.11)], "rooftop"),
        ("nominatim", [road(49.28, -123.11)], "street"),
        ("nominatim", [town(49.28, -123.11)], "city"),
        ("nominatim", [{**town(49.28, -123.11), "addresstype": "state"}], None),
        (
            "nominatim",
            [{**town(49.28, -123.11, postcode="V6B"), "addresstype": "postcode"}],
            "fsa",
        ),
        (
            "nominatim",
            [{**town(49.28, -123.11, postcode="V6B 1A1"), "type": "postcode",
              "addresstype": None}],
            "postal_code",
        ),
        ("nominatim", [], None),
        ("google", google("ROOFTOP", "street_number", "route"), "rooftop"),
        ("google", google("RANGE_INTERPOLATED", "street_number", "route"), "street"),
        ("google", google("GEOMETRIC_CENTER", "route"), "street"),
        ("google", google("APPROXIMATE", "postal_code"), "postal_code"),
        ("google", google("APPROXIMATE", "postal_code_prefix"), "fsa"),
        ("google", google("APPROXIMATE", "locality"), "city"),
        ("google", google("APPROXIMATE", "administrative_area_level_1"), None),
        ("google", {"status": "ZERO_RESULTS", "results": []}, None),
        ("google", {"status": "INVALID_REQUEST", "results": []}, None),
        ("arcgis", arcgis("PointAddress"), "rooftop"),
        ("arcgis", arcgis("StreetAddress"), "street"),
        ("arcgis", arcgis("Postal", Postal="V6B"), "fsa"),
        ("arcgis", arcgis("PostalExt", Postal="V6B 1A1"), "postal_code"),
        ("arcgis", arcgis("Locality"), "city"),
        ("arcgis", arcgis("POI"), None),
        ("arcgis", {"candidates": []}, None),
        ("opencage", opencage("building", house_number="1255", road="Main"), "rooftop"),
        ("opencage", opencage("road", road="Main"), "street"),
        ("opencage", opencage("postcode", postcode="V6B"), "fsa"),
        ("opencage", opencage("city"), "city"),
        ("opencage", opencage("state"), None),
        ("opencage", {"status": {"code": 200, "message": "OK"}, "results": []}, None),
        ("photon", photon(type="house", housenumber="1255", street="Main"), "rooftop"),
        ("photon", photon(type="street", name="Main"), "street"),
        ("photon", photon(type="city", osm_value="city", name="Vancouver"), "city"),
        ("photon", photon(type="other", osm_value="postcode", postcode="V6B 1A1"), "postal_code"),
        ("photon", photon(type="state", osm_value="state"), None),
        ("photon", {"features": []}, None),
    ],
)  # fmt: skip
def test_how_near_an_answer_is(
    geocoder: GeocoderServer, opens: Opens, name: str, document: Any, precision: str | None
) -> None:
    geocoder.replies = [Reply(document)]
    found = opens(name).ask(ADDRESS)
    assert (found.precision.value if found else None) == precision
    if found is not None:
        assert (found.latitude, found.longitude, found.province) == (49.28, -123.11, "BC")
        assert 0 <= confidence_in(found, ADDRESS) <= 1


OTHERS: dict[str, list[Any]] = {
    "nominatim": [
        [house(49.28, -123.11, address={"house_number": "7"})],
        [house(49.28, -123.11, address={"road": "Another Road"})],
    ],
    "photon": [
        photon(type="house", housenumber="7", street="Main Street"),
        photon(type="street", name="Another Road"),
    ],
    "arcgis": [
        arcgis("PointAddress", AddNum="7", StName="Main"),
        arcgis("PointAddress", AddNum="1255", StName="Another"),
    ],
    "google": [
        google("ROOFTOP", "street_number", "route", street_number="7", route="Main Street West"),
        google("ROOFTOP", "street_number", "route", street_number="1255", route="Another Road"),
    ],
    "opencage": [
        opencage("building", house_number="7", road="Main Street West"),
        opencage("building", house_number="1255", road="Another Road"),
    ],
}


@pytest.mark.parametrize(("name", "documents"), OTHERS.items(), ids=OTHERS)
def test_another_house_is_less_exact_and_another_street_still_less(
    geocoder: GeocoderServer, opens: Opens, name: str, documents: list[Any]
) -> None:
    geocoder.replies = [Reply(document) for document in documents]
    found = [opens(name).ask(ADDRESS) for _ in documents]
    assert [answer and answer.precision.value for answer in found] == ["street", "city"]


@pytest.mark.parametrize(
    ("asked", "house_told", "street_told", "precision"),
    [
        ("12 Main St", "12", "Main Street / Rue Main", "rooftop"),
        ("12 Main St", "10-14", "Main Street", "rooftop"),
        ("12 Main St", "12A", "", "rooftop"),
        ("12 Main St", "The Manor", "", "rooftop"),
        ("12 Main St", "10;14;16", "", "street"),
        ("Main St", "12", "Main Street", "street"),
        ("12 McDonald Rd", "12", "Mc Donald Road", "rooftop"),
        ("12 Laurier Ave", "12", "Avenue Wilfrid-Laurier", "rooftop"),
        ("12 County Rd 5", "12", "County Road 5", "rooftop"),
        ("12 County Rd 5", "12", "County Road 6", "city"),
        ("12 Main St", "12", "Second Street", "city"),
    ],
)
def test_spellings_of_a_house_and_a_street(
    asked: str, house_told: str, street_told: str, precision: str
) -> None:
    answer = Answer(49.28, -123.11, Precision.ROOFTOP, "", house=house_told, street=street_told)
    assert precision_in(answer, normalize(street_address=asked)).value == precision


def test_what_providers_say_of_their_answers(geocoder: GeocoderServer, opens: Opens) -> None:
    geocoder.replies = [
        Reply(arcgis("PointAddress")),
        Reply(opencage("city", confidence=4)),
        Reply(opencage("city", confidence=0)),
        Reply(google("ROOFTOP", "street_number", partial_match=True)),
        Reply(photon(type="city", countrycode="US", state="Washington")),
        Reply([house(49.28, -123.11, address={"ISO3166-2-lvl4": "CA-AB"})]),
    ]
    names = ["arcgis", "opencage", "opencage", "google", "photon", "nominatim"]
    found = [opens(name).ask(ADDRESS) for name in names]
    assert [answer and answer.confidence for answer in found] == [0.975, 0.4, None, 0.5, None, None]
    assert [answer and answer.province for answer in found] == ["BC", "BC", "BC", "BC", "", "AB"]


def test_a_text_that_no_database_takes_is_made_printable(
    geocoder: GeocoderServer, opens: Opens
) -> None:
    texts = [
        "1255\x00 Main",
        "1255\ud800 Main",
        "1255\n\x1b[2J Main",
        "Rue de l’Église",
        "x" * 5000,
    ]
    geocoder.replies = [Reply([house(49.28, -123.11, display_name=text)]) for text in texts]
    found = [opens().ask(ADDRESS) for _ in texts]
    assert [answer and answer.matched_text for answer in found] == [
        "1255? Main", "1255? Main", "1255??[2J Main", "Rue de l’Église", "x" * 1000,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "province"),
    [
        ({"countrycode": "CA", "state": "New Brunswick / Nouveau-Brunswick"}, "NB"),
        ({"countrycode": "CA", "state": "Nunavut / ᓄᓇᕗᑦ"}, "NU"),
        ({"countrycode": None, "state": "Yukon / Territoire du Yukon"}, "YT"),
        ({"countrycode": "CA", "state": "ᓄᓇᕗᑦ"}, None),
        ({"countrycode": "CA", "state": "Alberta / Saskatchewan"}, None),
        ({"countrycode": None, "state": "Washington"}, ""),
        ({"countrycode": "US", "state": "New Brunswick"}, ""),
        ({"countrycode": None, "state": None}, None),
    ],
)
def test_in_which_province_a_place_lies(
    geocoder: GeocoderServer, opens: Opens, told: dict[str, Any], province: str | None
) -> None:
    """Nobody knows, when Canada has a region by a name that is unknown here."""
    geocoder.replies = [Reply(photon(type="city", **told))]
    found = opens("photon").ask(ADDRESS)
    assert found is not None
    assert found.province == province
    assert geocoder.asked[0].query["lang"] == "en"


FAULTS: list[tuple[str, Reply, type[Exception], str, timedelta | None]] = [
    ("nominatim", Reply(status=429), ProviderFault, "fewer requests", None),
    (
        "nominatim",
        Reply(status=429, headers={"Retry-After": "90"}),
        ProviderFault,
        "fewer requests",
        timedelta(seconds=90),
    ),
    (
        "nominatim",
        Reply(status=429, headers={"Retry-After": "0"}),
        ProviderFault,
        "fewer requests",
        timedelta(0),
    ),
    (
        "nominatim",
        Reply(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        ProviderFault,
        "fewer requests",
        timedelta(0),
    ),
    (
        "nominatim",
        Reply(status=429, headers={"Retry-After": "99999999999999"}),
        ProviderFault,
        "fewer requests",
        timedelta(days=7),
    ),
    (
        "nominatim",
        Reply(status=429, headers={"Retry-After": "99999999999"}),
        ProviderFault,
        "fewer requests",
        timedelta(days=7),
    ),
    ("nominatim", Reply(status=403, body=b"<h1>Blocked</h1>"), ProviderFault, "refuses", None),
    ("opencage", Reply(status=401), ProviderFault, "refuses", None),
    ("opencage", Reply(status=402), ProviderFault, "quota", timedelta(days=1)),
    ("google", Reply({"status": "OVER_QUERY_LIMIT"}), ProviderFault, "quota", timedelta(days=1)),
    (
        "google",
        Reply({"status": "REQUEST_DENIED", "error_message": f"The key {KEY} is invalid."}),
        ProviderFault,
        "refuses",
        None,
    ),
    ("nominatim", Reply(status=500), AddressFault, "error of the service", None),
    ("nominatim", Reply(status=502, body=b"<html>"), AddressFault, "error of the service", None),
    ("nominatim", Reply(status=503), AddressFault, "in time", None),
    ("nominatim", Reply(status=302, headers={"Location": "/elsewhere"}), AddressFault, "err", None),
    ("nominatim", Reply(body=b"<html>Sorry</html>"), AddressFault, "not JSON", None),
    ("nominatim", Reply(body=b"[" * 100_000), AddressFault, "not JSON", None),
    ("nominatim", Reply(body=b'"' + b"x" * 2_000_000), AddressFault, "error of", None),
    (
        "nominatim",
        Reply(body=b"[]", headers={"Content-Encoding": "gzip"}),
        AddressFault,
        "no|error",
        None,
    ),
    ("nominatim", Reply([{"lat": "here", "lon": "there"}]), AddressFault, "documented", None),
    ("nominatim", Reply([{"lat": 10**400, "lon": 1}]), AddressFault, "documented", None),
    ("nominatim", Reply([1]), AddressFault, "documented", None),
    ("nominatim", Reply([], seconds=1.0), AddressFault, "in time", None),
    ("nominatim", Reply([1] * 100, drip=0.02), AddressFault, "in time", None),
    ("google", Reply({"status": "UNKNOWN_ERROR"}), AddressFault, "no connection", None),
    ("google", Reply([]), AddressFault, "documented", None),
    ("photon", Reply({"features": [{}]}), AddressFault, "documented", None),
]


@pytest.mark.parametrize(
    ("name", "reply", "kind", "reason", "rest"),
    FAULTS,
    ids=[
        " ".join((name, str(reply.status), reason, *reply.headers.values()))
        for name, reply, _, reason, _ in FAULTS
    ],
)
def test_what_is_no_answer(
    geocoder: GeocoderServer,
    opens: Opens,
    caplog: pytest.LogCaptureFixture,
    name: str,
    reply: Reply,
    kind: type[Exception],
    reason: str,
    rest: timedelta | None,
) -> None:
    caplog.set_level(logging.DEBUG)
    geocoder.replies = [reply]
    with pytest.raises(kind, match=reason) as caught:
        opens(name, timeout_seconds=0.5).ask(ADDRESS)
    if isinstance(caught.value, ProviderFault):
        assert caught.value.rest == rest
    assert len(geocoder.asked) == 1, "redirects and faults are not followed up"
    told = caplog.text + "".join(traceback.format_exception(caught.value))
    assert KEY not in told
    assert "very%2Fsecret" not in told


def test_retry_after_may_be_a_date(geocoder: GeocoderServer, opens: Opens) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    geocoder.replies = [Reply(status=429, headers={"Retry-After": later})]
    with pytest.raises(ProviderFault) as caught:
        opens().ask(ADDRESS)
    assert caught.value.rest is not None
    assert timedelta(minutes=4) < caught.value.rest <= timedelta(minutes=5)


def test_nobody_at_home(opens: Opens) -> None:
    with pytest.raises(AddressFault, match="no connection"):
        opens(host="http://127.0.0.1:1").ask(ADDRESS)


def test_a_key_is_sent_and_never_shown(
    geocoder: GeocoderServer, opens: Opens, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    geocoder.replies = [
        Reply(google("ROOFTOP", "street_number")),
        Reply(opencage("city")),
        Reply(status=500),
    ]
    providers = [opens("google"), opens("opencage"), opens("google")]
    for provider in providers[:2]:
        provider.ask(ADDRESS)
    with pytest.raises(AddressFault):
        providers[2].ask(ADDRESS)
    assert [asked.query["key"] for asked in geocoder.asked] == [KEY] * 3
    shown = caplog.text + "".join(f"{provider!r}{vars(provider)}" for provider in providers)
    assert "/maps/api/geocode/json" in shown, "the addresses are logged at all"
    assert KEY not in shown
    assert "very%2Fsecret" not in shown


def test_a_key_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEOCODER_KEY", raising=False)
    settings = GeocoderSettings(name="google", key_variable="GEOCODER_KEY")
    with pytest.raises(SettingsError, match=r"'google'.*no variable GEOCODER_KEY"):
        Provider(settings, AddressSettings())


def test_a_netrc_gives_nothing_away(
    geocoder: GeocoderServer, opens: Opens, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    opens().ask(ADDRESS)
    assert "authorization" not in geocoder.asked[0].headers


def test_requests_keep_their_distance(geocoder: GeocoderServer, opens: Opens) -> None:
    """As they are sent: how long each one is under way is nobody's to say."""
    provider = opens(seconds_between_requests=0.15)
    began = time.monotonic()
    for number in range(3):
        provider.ask(ADDRESS)
        assert time.monotonic() - began >= number * 0.15 - 0.005
    assert len(geocoder.asked) == 3


def test_offline_needs_no_network_and_no_waiting(opens: Opens) -> None:
    provider = opens("offline", seconds_between_requests=60)
    started = time.monotonic()
    found = [provider.ask(ADDRESS) for _ in range(20)]
    assert time.monotonic() - started < 60
    assert {answer and answer.precision.value for answer in found} == {"fsa"}
    assert found[0] is not None
    assert found[0].matched_text.endswith("BC V6B")
    assert provider.ask(normalize(city="Nowhere")) is None
