"""The switches of the faults, one by one, without any RETS client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import md5
from time import monotonic
from typing import Any

import pytest
import requests
from requests.auth import HTTPDigestAuth

from rets_pipeline.sandbox import RunningSandbox, running
from rets_pipeline.sandbox.faults import CATALOGUE, SECTIONS
from rets_pipeline_tests.sandbox.client import GENERIC, Client, GenericClient, code, control, root

KEY = 10_000_007
LOGIN = "/rets/login"


@pytest.fixture(scope="module")
def running_server() -> Iterator[RunningSandbox]:
    with running(listings=12, generic_listings=30, max_photos=2) as started:
        yield started


@pytest.fixture
def server(running_server: RunningSandbox) -> Iterator[RunningSandbox]:
    yield running_server
    running_server.world.faults.reset()


@pytest.fixture
def client(server: RunningSandbox) -> GenericClient:
    return GenericClient(server)


def switch_on(sandbox: RunningSandbox, name: str, /, **settings: Any) -> Any:
    return control(sandbox, "faults", {"name": name, **settings})["on"][-1]


# How switches work


def test_once_is_the_default(client: GenericClient) -> None:
    assert switch_on(client.sandbox, "reply_code")["times"] == 1
    assert [code(client.search()) for _ in range(3)] == [20050, 0, 0]
    (switch,) = control(client.sandbox, "faults")["on"]
    assert (switch["times"], switch["happened"]) == (0, 1)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"times": 2}, [20050, 20050, 0, 0]),
        ({"times": None}, [20050] * 4),
        ({"after": 1}, [0, 20050, 0, 0]),
        ({"after": 2, "times": None}, [0, 0, 20050, 20050]),
        ({"share": 0.0}, [0] * 4),
        ({"share": 1.0}, [20050] * 4),
        ({"share": 1.0, "times": 3}, [20050, 20050, 20050, 0]),
        ({"code": 20022, "text": "No"}, [20022, 0, 0, 0]),
    ],
)
def test_how_often(client: GenericClient, settings: dict[str, Any], expected: list[int]) -> None:
    switch_on(client.sandbox, "reply_code", **settings)
    assert [code(client.search()) for _ in range(4)] == expected


def test_a_share_is_the_same_every_time(client: GenericClient) -> None:
    def pattern() -> list[int]:
        control(client.sandbox, "faults", [{"reset": True}, {"name": "reply_code", "share": 0.5}])
        return [code(client.search()) for _ in range(30)]

    first = pattern()
    assert first == pattern()
    assert 5 < first.count(20050) < 25


def test_only_one_transaction(client: GenericClient) -> None:
    switch_on(client.sandbox, "reply_code", transaction="GetMetadata", times=None)
    assert code(client.search()) == 0
    assert code(client.metadata("SYSTEM")) == 20050


def test_only_one_server(client: GenericClient) -> None:
    ddf = Client(client.sandbox)
    switch_on(client.sandbox, "reply_code", server="ddf", times=None)
    assert code(client.search()) == 0
    assert code(ddf.search("(ID=*)")) == 20050


def test_several_at_once(client: GenericClient) -> None:
    control(
        client.sandbox,
        "faults",
        [{"name": "rows_with_20208", "rows": 2}, {"name": "content_type_odd"}],
    )
    response = client.search()
    assert response.headers["Content-Type"] == "text/plain"
    assert code(response) == 20208
    assert len(root(response).findall("DATA")) == 2


def test_a_challenge_is_no_request(server: RunningSandbox) -> None:
    switch_on(server, "http_503", times=None)
    response = requests.get(server.url + LOGIN, headers={"RETS-Version": "RETS/1.7.2"})
    assert response.status_code == 401
    assert control(server, "faults")["on"][0]["happened"] == 0


def test_switching_off(client: GenericClient) -> None:
    url = f"{client.sandbox.url}/_sandbox/faults"
    for name in ("reply_code", "http_503"):
        switch_on(client.sandbox, name, times=None)
    left = requests.delete(url, params={"name": "reply_code"}).json()["on"]
    assert [switch["name"] for switch in left] == ["http_503"]
    assert requests.delete(url).json() == {"on": []}
    switch_on(client.sandbox, "reply_code", times=None)
    assert control(client.sandbox, "faults", {"reset": True}) == {"on": []}
    assert code(client.search()) == 0


@pytest.mark.parametrize(
    "document",
    [
        3,
        {},
        {"name": "explode"},
        {"name": "reply_code", "times": -1},
        {"name": "reply_code", "times": True},
        {"name": "reply_code", "share": 2},
        {"name": "reply_code", "share": "all"},
        {"name": "reply_code", "after": "soon"},
        {"name": "reply_code", "transaction": "Dance"},
        {"name": "reply_code", "server": "moon"},
        {"name": "reply_code", "code": "20050"},
        {"name": "reply_code", "colour": "red"},
        [{"name": "reply_code"}, {"name": "explode"}],
    ],
)
def test_what_makes_no_sense_changes_nothing(server: RunningSandbox, document: object) -> None:
    response = requests.post(f"{server.url}/_sandbox/faults", json=document)
    assert response.status_code == 400
    assert response.json()["error"]
    assert control(server, "faults")["on"] == []


def test_the_catalogue(server: RunningSandbox) -> None:
    catalogue = control(server, "faults")["catalogue"]
    assert [entry["name"] for entry in catalogue] == list(CATALOGUE)
    assert {entry["section"] for entry in catalogue} == set(SECTIONS)
    for entry in catalogue:
        assert re.fullmatch("[a-z][a-z0-9_]+", entry["name"])
        assert entry["does"].endswith(".")
        assert entry["about"] == SECTIONS[entry["section"]]
        assert set(entry["servers"]) <= {"ddf", "generic"}


# Every fault makes a difference

#: what a fault needs in order to show: settings of the switch, and arguments of the request
SETTINGS: dict[str, dict[str, Any]] = {
    "never_return": {"keys": ["0"]},
    "image_status": {"status": 410},
    "version_refused": {"version": "RETS/1.8"},
    "refused_20208": {"above": 5},
    "silence": {"seconds": 0.01},
    "slow_drip": {"piece": 2000, "pause": 0.001},
    "late": {"seconds": 0.05},
    "logout_hangs": {"seconds": 0.05},
    "endless_blanks": {"bytes": 1000},
    "gzip_bomb": {"bytes": 100_000},
    "huge_attribute": {"bytes": 1000},
    "huge_text": {"bytes": 1000},
    "wildcard_refused": {"transaction": "GetMetadata"},
    "page_repeated": {"after": 0},
    "rows_added_between_pages": {"times": None},
    "rows_removed_between_pages": {"times": None},
}
ARGUMENTS: dict[str, dict[str, str]] = {
    "limit_ignored": {"Limit": "5"},
    "maxrows_missing": {"Limit": "5"},
    "error_behind_last_page": {"Offset": "31"},
    "page_repeated": {"Offset": "21", "Limit": "5"},
    "pages_without_end": {"Offset": "201"},
    "count_of_page": {"Limit": "5"},
    "plus_is_a_blank": {"Query": "(StreetName=Rue Saint-Élie)"},
    "compact_refused": {"Format": "COMPACT"},
    "standard_xml_refused": {"Format": "STANDARD-XML"},
    "metadata_type_unknown": {"Type": "METADATA-OBJECT", "ID": "Property"},
    "class_without_table": {"ID": "Agent:AGT"},
    "class_twice": {"Type": "METADATA-CLASS", "ID": "Property"},
    "refused_20510": {"ID": "*"},
    "wildcard_refused": {"ID": "*"},
    "wildcard_partial": {"Type": "METADATA-LOOKUP_TYPE", "ID": "*"},
    "lookup_types_called_lookup": {
        "Type": "METADATA-LOOKUP_TYPE",
        "ID": "*",
        "Format": "STANDARD-XML",
    },
    "lookups_called_lookup_type": {"Type": "METADATA-LOOKUP", "ID": "*", "Format": "STANDARD-XML"},
    "content_changed": {"Type": "METADATA-LOOKUP_TYPE", "ID": "*"},
    "lookup_without_values": {"Type": "METADATA-LOOKUP_TYPE", "ID": "*"},
    "lookup_code_twice": {"Type": "METADATA-LOOKUP_TYPE", "ID": "*"},
    "location_without_body": {"Location": "1"},
    "location_disabled": {"Location": "1"},
    "location_ignored": {"Location": "1"},
    "location_without_scheme": {"Location": "1"},
    "location_relative": {"Location": "1"},
    "location_empty": {"Location": "1"},
    "location_unsafe": {"Location": "1"},
    "several_ids_refused": {"ID": f"{KEY}:1,{KEY + 7}:1"},
    "several_ids_fail": {"ID": f"{KEY}:1,{KEY + 7}:1"},
    "object_type_missing": {"Type": "Thumbnail"},
    "single_ids_missing": {"ID": f"{KEY}:1"},
    "namespace": {"Format": "STANDARD-XML"},
    "namespace_with_prefix": {"Format": "STANDARD-XML"},
}
for _name in (
    *("offset_unsupported", "offset_ignored", "offset_zero_based", "pages_overlap", "pages_gap"),
    *("page_empty_with_maxrows", "later_page_20201"),
    *("rows_added_between_pages", "rows_removed_between_pages"),
):
    ARGUMENTS[_name] = {"Offset": "11", "Limit": "5"}
_VALUES = ("Query", "Format")
#: whose difference is shown by tests of their own below
ELSEWHERE = {
    *("nonce_per_connection", "digest_signs_target", "before_details", "never_return"),
    *("late", "logout_hangs", "slow_drip", "silence", "gzip_unasked", "expect_refused"),
    *("user_agent_interealty", "get_refused", "post_refused", "query_in_address_fails"),
    *("capability_value_with_equals", "login_query_unwanted", "capability_from_root"),
    *("date_impossible", "truncate_master_list", "bad_cookie_html"),
}
RULES = [name for name, fault in CATALOGUE.items() if fault.stage == "rules"]
OTHERS = [name for name in CATALOGUE if name not in {*RULES, *ELSEWHERE}]

Signature = tuple[object, ...]


def signature(response: requests.Response) -> Signature:
    """What of an answer may not change without a fault."""
    names = ("Content-Type", "Content-Encoding", "Location", "Retry-After", "RETS-Version")
    challenge = re.sub(r"nonce=\"?\w+", "nonce", response.headers.get("WWW-Authenticate", ""))
    cookies = sorted((cookie.name, bool(cookie.value)) for cookie in response.cookies)
    headers = tuple(response.headers.get(name) for name in names)
    objects = tuple(response.headers.get(name) for name in ("Object-ID", "Content-ID"))
    return (response.status_code, headers, objects, challenge, tuple(cookies), response.content)


def ask(client: GenericClient, ddf: Client, name: str) -> Signature:
    fault = CATALOGUE[name]
    order = ("Search", "GetMetadata", "GetObject", "Login", "Logout", "Action", "Image")
    transaction = SETTINGS.get(name, {}).get("transaction") or next(
        known for known in order if known in fault.transactions
    )
    arguments, http, url = ARGUMENTS.get(name, {}), client.http, client.sandbox.url
    try:
        if "generic" not in fault.servers:
            return _ask_ddf(ddf, transaction)
        if transaction == "Search":
            return signature(client.search(**arguments))
        if transaction == "GetMetadata":
            wanted = {"Type": "METADATA-TABLE", "ID": "Property:RES", "Format": "COMPACT"}
            return signature(http.get(f"{url}/rets/metadata", params={**wanted, **arguments}))
        if transaction == "GetObject":
            return signature(client.objects(**{"identity": f"{KEY}:*"} | _object(arguments)))
        if transaction == "Image":
            return signature(requests.get(f"{url}/rets/photos/{KEY}/Photo/1.jpg"))
        own = GenericClient(client.sandbox, login=transaction != "Login").http
        return signature(own.get(url + f"/rets/{transaction.lower()}", allow_redirects=False))
    except requests.RequestException as error:
        return (type(error).__name__,)


def _object(arguments: dict[str, str]) -> dict[str, str]:
    return {("identity" if name == "ID" else name): value for name, value in arguments.items()}


def _ask_ddf(ddf: Client, transaction: str) -> Signature:
    if transaction == "Search":
        return signature(ddf.search("(ID=*)"))
    listing = next(iter(control(ddf.sandbox, "truth")["listings"].values()))
    return signature(requests.get(ddf.sandbox.url + listing["photos"][0]["paths"]["large"]))


@pytest.mark.parametrize("name", OTHERS)
def test_it_makes_a_difference(client: GenericClient, name: str) -> None:
    ddf = Client(client.sandbox)
    good = ask(client, ddf, name)
    assert ask(client, ddf, name) == good
    switch_on(client.sandbox, name, **SETTINGS.get(name, {}))
    if name.endswith("_between_pages"):  # the first of these requests is the first page
        ask(client, ddf, name)
    bad = ask(client, ddf, name)
    happened = client.sandbox.world.faults.as_json()[0]["happened"]
    assert happened >= 1
    assert bad != good
    client.sandbox.world.faults.reset()
    again = GenericClient(client.sandbox)
    assert ask(again, Client(client.sandbox), name) == good


def letting_in(server: RunningSandbox) -> list[Signature | int]:
    """What a client meets on its way in."""
    headers = {"RETS-Version": "RETS/1.7.2", "RETS-UA-Authorization": "Digest none"}
    steps: list[Signature | int] = [
        signature(requests.get(server.url + LOGIN, headers=headers)),
        signature(requests.get(server.url + LOGIN, headers={**headers, "User-Agent": ""})),
    ]
    http = requests.Session()
    http.headers.update(headers)
    http.auth = HTTPDigestAuth(server.username, server.password)
    before = control(server, "generic/statistics")["unauthorized"]
    steps.append(signature(http.get(server.url + LOGIN)))
    for _ in range(2):
        steps.append(signature(http.get(f"{server.url}/rets/search", params=GENERIC)))
    steps.append(control(server, "generic/statistics")["unauthorized"] - before)
    http.cookies.clear()
    steps.append(
        signature(http.get(f"{server.url}/rets/search", cookies={"RETS-Session-ID": "bad"}))
    )
    return steps


@pytest.mark.parametrize("name", [name for name in RULES if name not in ELSEWHERE])
def test_rules_that_bend(server: RunningSandbox, name: str) -> None:
    good = letting_in(server)
    assert letting_in(server) == good
    switch_on(server, name, server="generic", **SETTINGS.get(name, {}))
    assert letting_in(server) != good
    server.world.faults.reset()
    assert letting_in(server) == good


# Those with tests of their own


def test_a_nonce_of_another_connection(server: RunningSandbox) -> None:
    switch_on(server, "nonce_per_connection")
    client = GenericClient(server)
    header = HTTPDigestAuth(server.username, server.password)
    challenge = requests.get(server.url + LOGIN).headers["WWW-Authenticate"]
    header.init_per_thread_state()
    header._thread_local.chal = requests.utils.parse_dict_header(challenge[7:])
    signed = header.build_digest_header("GET", server.url + LOGIN)
    headers = {**client.http.headers, "Authorization": signed}
    assert requests.get(server.url + LOGIN, headers=headers).status_code == 401
    server.world.faults.reset()
    assert requests.get(server.url + LOGIN, headers=headers).status_code == 200


def test_digest_must_sign_the_query(client: GenericClient) -> None:
    auth = client.http.auth
    assert isinstance(auth, HTTPDigestAuth)
    url = f"{client.sandbox.url}/rets/search"

    def signed_by_path() -> int:
        headers = {"Authorization": auth.build_digest_header("GET", url)}
        sent = {**client.http.headers, **headers}
        query = requests.Request("GET", url, params=GENERIC).prepare().url or ""
        return requests.get(query, headers=sent, cookies=client.http.cookies).status_code

    assert signed_by_path() == 200
    switch_on(client.sandbox, "digest_signs_target")
    assert signed_by_path() == 401


def test_challenges_tell_that_only_the_nonce_is_old(client: GenericClient) -> None:
    used = client.search().request.headers["Authorization"]
    sent = {**client.http.headers, "Authorization": used}
    url = f"{client.sandbox.url}/rets/search"
    for name, expected in (("nonce_per_request", True), ("nonce_never_stale", False)):
        switch_on(client.sandbox, name)
        response = requests.post(url, data=GENERIC, headers=sent)
        assert ("stale=true" in response.headers["WWW-Authenticate"]) is expected
        client.sandbox.world.faults.reset()


@pytest.mark.parametrize("name", ["user_agent_authorization", "user_agent_interealty"])
def test_the_hash_of_a_user_agent(server: RunningSandbox, name: str) -> None:
    switch_on(server, name, password="secret")
    http = GenericClient(server, login=False).http
    http.headers["User-Agent"] = "tests/1.0"
    http.headers["RETS-Request-ID"] = "17"

    def prove() -> None:
        product = "tests" if "interealty" in name else "tests/1.0"
        session = http.cookies.get("RETS-Session-ID", "")
        secret = md5(f"{product}:secret".encode()).hexdigest()
        proof = md5(f"{secret}:17:{session}:RETS/1.7.2".encode()).hexdigest()
        http.headers["RETS-UA-Authorization"] = f"Digest {proof}"

    url = f"{server.url}/rets/search"
    assert code(http.get(server.url + LOGIN)) == 20041
    prove()
    assert code(http.get(server.url + LOGIN)) == 0
    assert code(http.post(url, data=GENERIC)) == 20041
    prove()
    assert code(http.post(url, data=GENERIC)) == 0


def test_an_unknown_session_is_a_page(client: GenericClient) -> None:
    switch_on(client.sandbox, "bad_cookie_html")
    client.http.cookies.set("RETS-Session-ID", "bad")
    assert client.search().headers["Content-Type"] == "text/html"


def test_methods(client: GenericClient) -> None:
    url = f"{client.sandbox.url}/rets/search"
    for name, get, post in (
        ("post_refused", 200, 404),
        ("get_refused", 405, 200),
        ("query_in_address_fails", 500, 200),
    ):
        switch_on(client.sandbox, name, times=None)
        assert client.http.get(url, params=GENERIC).status_code == get
        assert client.http.post(url, data=GENERIC).status_code == post
        client.sandbox.world.faults.reset()


def test_a_value_with_an_equals_sign_is_needed_whole(server: RunningSandbox) -> None:
    switch_on(server, "capability_value_with_equals", times=None)
    client = GenericClient(server, login=False)
    text = root(client.http.get(server.url + LOGIN)).findtext("RETS-RESPONSE") or ""
    (search,) = re.findall("^Search=(.*?)\r?$", text, re.MULTILINE)
    assert code(client.search()) == 20203
    assert code(client.http.post(server.url + search, data=GENERIC)) == 0


def test_the_query_of_the_login(client: GenericClient) -> None:
    switch_on(client.sandbox, "login_query_unwanted", times=None)
    url = f"{client.sandbox.url}/rets/search"
    assert code(client.http.post(f"{url}?tenant=1", data=GENERIC)) == 20203
    assert code(client.http.post(url, data=GENERIC)) == 0


def test_addresses_from_the_root(server: RunningSandbox) -> None:
    client = Client(server, login=False)
    switch_on(server, "capability_from_root")
    text = root(client.http.get(server.login_url)).findtext("RETS-RESPONSE") or ""
    assert "Search=/Search.svc/Search" in text.splitlines()


def test_a_request_that_expects_to_go_on(client: GenericClient) -> None:
    switch_on(client.sandbox, "expect_refused", times=None)
    assert client.search().status_code == 200
    client.http.headers["Expect"] = "100-continue"
    assert client.search().status_code == 417


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("late", {"seconds": 0.1}),
        ("slow_drip", {"piece": 4_000, "pause": 0.05}),
        ("silence", {"seconds": 0.1}),
    ],
)
def test_slowness(client: GenericClient, name: str, settings: dict[str, Any]) -> None:
    good = client.search().content
    switch_on(client.sandbox, name, **settings)
    begin = monotonic()
    assert client.search().content == good
    assert monotonic() - begin >= 0.1


def test_a_logout_that_hangs(client: GenericClient) -> None:
    switch_on(client.sandbox, "logout_hangs", seconds=0.1)
    response = client.http.get(f"{client.sandbox.url}/rets/logout")
    assert response.elapsed.total_seconds() >= 0.1


def test_compression_that_nobody_asked_for(client: GenericClient) -> None:
    client.http.headers["Accept-Encoding"] = "identity"
    plain = client.search()
    switch_on(client.sandbox, "gzip_unasked")
    packed = client.search()
    assert (plain.headers.get("Content-Encoding"), packed.headers["Content-Encoding"]) == (
        None,
        "gzip",
    )
    assert packed.content == plain.content


def test_an_impossible_date(client: GenericClient) -> None:
    switch_on(client.sandbox, "date_impossible", value="2024-02-30")
    assert b"\t2024-02-30\t" in client.search().content


def test_behaviours_for_one_request(server: RunningSandbox) -> None:
    ddf = Client(server)
    keys = list(ddf.master_list())
    switch_on(server, "never_return", keys=keys[:1])
    assert list(ddf.details(keys[:2])) == keys[1:2]
    assert list(ddf.details(keys[:2])) == keys[:2]
    switch_on(server, "truncate_master_list", cleanly=True)
    assert b"</RETS>" not in ddf.search("(ID=*)").content
    assert len(ddf.master_list()) == len(keys)
    before = ddf.details(keys[:1])[keys[0]].get("LastUpdated")
    switch_on(server, "before_details", changes=[{"listing_key": keys[0], "kind": "price"}])
    assert ddf.details(keys[:1])[keys[0]].get("LastUpdated") != before
    assert control(server, "behaviour")["never_return"] == []


@pytest.mark.parametrize("ending", ["broken", "reset", "clean"])
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("name", ["cut_at_share", "cut_at_byte", "cut_after_records"])
def test_endings(client: GenericClient, name: str, ending: str, encoding: str) -> None:
    client.http.headers["Accept-Encoding"] = encoding
    good = client.search().content
    switch_on(client.sandbox, name, ending=ending)
    if ending == "clean":
        assert good.startswith(client.search().content)
        return
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        client.search()


def test_a_reset_is_a_reset(client: GenericClient) -> None:
    switch_on(client.sandbox, "connection_reset")
    with pytest.raises(requests.ConnectionError, match="reset"):
        client.search()
    switch_on(client.sandbox, "connection_closed")
    with pytest.raises(requests.ConnectionError, match=r"closed|Remote end"):
        client.search()
    assert code(client.search()) == 0
