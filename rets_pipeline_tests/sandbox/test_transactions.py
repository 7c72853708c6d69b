from __future__ import annotations

import re
import threading

import pytest
import requests
from requests.auth import HTTPDigestAuth

from rets_pipeline.sandbox import RunningSandbox, running
from rets_pipeline_tests.sandbox.client import Client, code, control, records, root, text


def test_a_first_request_is_challenged(sandbox: RunningSandbox) -> None:
    response = requests.get(sandbox.login_url, headers={"RETS-Version": "RETS/1.7.2"})
    assert response.status_code == 401
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith('Digest realm="CREA.Distribution", nonce="')
    assert 'qop="auth"' in challenge


@pytest.mark.parametrize(("username", "password"), [("sandbox", "wrong"), ("wrong", "")])
def test_a_wrong_account_is_refused(sandbox: RunningSandbox, username: str, password: str) -> None:
    response = requests.get(
        sandbox.login_url,
        auth=HTTPDigestAuth(username, password or sandbox.password),
        headers={"RETS-Version": "RETS/1.7.2"},
    )
    assert response.status_code == 401
    assert control(sandbox, "statistics")["logins"] == 0


def test_an_authorization_cannot_be_used_twice(client: Client) -> None:
    response = client.search("(ID=*)")
    used = response.request.headers["Authorization"]
    headers = {**client.http.headers, "Authorization": used}
    again = requests.get(response.request.url or "", headers=headers, cookies=client.http.cookies)
    assert again.status_code == 401
    assert "stale=true" in again.headers["WWW-Authenticate"]


def test_an_authorization_is_for_one_path_and_method(client: Client) -> None:
    url = f"{client.sandbox.url}/Search.svc/Search"
    auth = client.http.auth
    assert isinstance(auth, HTTPDigestAuth)
    for method, signed in (("GET", client.sandbox.login_url), ("POST", url)):
        header = auth.build_digest_header(method, signed)
        sent = {"Authorization": header, "RETS-Version": "RETS/1.7.2"}
        assert requests.get(url, headers=sent, cookies=client.http.cookies).status_code == 401


def test_the_path_may_be_signed_without_its_query(client: Client) -> None:
    url = f"{client.sandbox.url}/Search.svc/Search"
    auth = client.http.auth
    assert isinstance(auth, HTTPDigestAuth)
    headers = {
        "Authorization": auth.build_digest_header("GET", url) or "",
        "RETS-Version": "RETS/1.7.2",
    }
    query = "?SearchType=Property&Class=Property&QueryType=DMQL2&Query=(ID%3D0%2B)"
    assert code(requests.get(url + query, headers=headers, cookies=client.http.cookies)) == 0


def test_login_names_the_other_transactions(sandbox: RunningSandbox) -> None:
    client = Client(sandbox, login=False)
    response = client.http.get(sandbox.login_url)
    assert response.headers["RETS-Version"] == "RETS/1.7.2"
    assert {"X-SESSIONID", "ASP.NET_SessionId"} <= set(response.cookies.keys())
    answer = root(response).findtext("RETS-RESPONSE") or ""
    values = dict(line.split("=", 1) for line in answer.strip().splitlines())
    assert values["Search"] == f"{sandbox.url}/Search.svc/Search"
    assert values["GetMetadata"] == f"{sandbox.url}/Metadata.svc/GetMetadata"
    assert {"MemberName", "User", "Broker", "Login", "Logout", "GetObject"} <= set(values)
    assert {"MetadataVersion", "MinMetadataVersion", "MetadataTimestamp"} <= set(values)


def test_a_version_header_is_needed(sandbox: RunningSandbox) -> None:
    client = Client(sandbox, login=False)
    del client.http.headers["RETS-Version"]
    assert code(client.http.get(sandbox.login_url)) == 20036


@pytest.mark.parametrize(
    "path", ["/Search.svc/Search", "/Metadata.svc/GetMetadata", "/Object.svc/GetObject"]
)
def test_digest_alone_is_not_enough(sandbox: RunningSandbox, path: str) -> None:
    assert code(Client(sandbox, login=False).get(path)) == 20701


def test_logout_ends_the_session(client: Client) -> None:
    held = client.http.cookies["X-SESSIONID"]
    assert code(client.get("/Logout.svc/Logout")) == 0
    assert "X-SESSIONID" not in client.http.cookies
    assert code(client.search("(ID=*)")) == 20701
    assert code(client.get("/Logout.svc/Logout")) == 20701
    client.http.cookies.set("X-SESSIONID", held)
    assert code(client.get("/Logout.svc/Logout")) == 20702


def test_expired_sessions_ask_for_a_new_login(client: Client) -> None:
    assert control(client.sandbox, "sessions/expire", {}) == {"expired": 1}
    assert code(client.search("(ID=*)")) == 20701
    assert code(client.http.get(client.sandbox.login_url)) == 0
    assert code(client.search("(ID=*)")) == 0


def test_silent_sessions_are_forgotten() -> None:
    with running(listings=1, session_seconds=0.05) as sandbox:
        client = Client(sandbox)
        threading.Event().wait(0.1)
        assert code(client.search("(ID=*)")) == 20701


def test_single_session() -> None:
    with running(listings=1, single_session=True) as sandbox:
        first, second = Client(sandbox), Client(sandbox, login=False)
        assert code(second.http.get(sandbox.login_url)) == 20022
        assert code(first.http.get(sandbox.login_url)) == 0  # its own session is replaced
        assert code(first.get("/Logout.svc/Logout")) == 0
        assert code(second.http.get(sandbox.login_url)) == 0
        assert control(sandbox, "statistics")["sessions_open_at_most"] == 1


def test_sessions_are_counted(sandbox: RunningSandbox) -> None:
    first, _ = Client(sandbox), Client(sandbox)
    first.get("/Logout.svc/Logout")
    statistics = control(sandbox, "statistics")
    assert (statistics["logins"], statistics["logouts"]) == (2, 1)
    assert (statistics["sessions_open"], statistics["sessions_open_at_most"]) == (1, 2)
    reset = control(sandbox, "statistics/reset", {})
    assert (reset["sessions_open"], reset["sessions_open_at_most"], reset["logins"]) == (1, 1, 0)


def test_requests_are_counted_by_kind(client: Client) -> None:
    keys = list(client.master_list())[:5]
    client.details(keys)
    client.search("(LastUpdated=2020-01-01T00:00:00Z)", Limit="7")
    client.search("(Price=1)")
    statistics = control(client.sandbox, "statistics")
    assert statistics["searches"] == {
        "master_list": 1,
        "details": 1,
        "last_updated": 1,
        "invalid": 1,
    }
    assert statistics["requests"]["Search"] == 4
    assert statistics["details_returned"] == 12
    assert statistics["reply_codes"] == {"20206": 1}


@pytest.mark.parametrize("query", ["(ID=*)", "(ID=0+)"])
@pytest.mark.parametrize("post", [False, True])
def test_master_list(client: Client, query: str, post: bool) -> None:
    response = client.search(query, post=post, Count="1", Culture="fr-CA")
    assert response.content.startswith(b'<?xml version="1.0" encoding="utf-8"?><RETS ')
    assert b"\n" not in response.content
    document = root(response)
    assert document.find("COUNT").get("Records") == "120"
    envelope = document.find("{urn:CREA.Search.Property}RETS-RESPONSE")
    pagination = {child.tag.split("}")[1]: child.text for child in envelope.find("{*}Pagination")}
    assert pagination == {
        "TotalRecords": "120",
        "Limit": "0",
        "Offset": "1",
        "TotalPages": "1",
        "RecordsReturned": "120",
    }
    found = records(response)
    keys = [record.get("ID") for record in found]
    assert len(set(keys)) == 120
    assert keys != sorted(keys)
    for record in found:
        assert re.fullmatch(
            r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT",
            record.get("LastUpdated"),
        )


def test_details_answer_in_the_order_of_the_keys_and_leave_unknown_ones_out(
    client: Client,
) -> None:
    keys = list(client.master_list())[:3]
    assert list(client.details([keys[2], "1", keys[0], keys[2]])) == [keys[2], keys[0]]


def test_details_have_the_master_lists_timestamps(client: Client) -> None:
    master = client.master_list()
    found = client.details(list(master)[:100])
    assert {key: record.get("LastUpdated") for key, record in found.items()} == {
        key: master[key] for key in list(master)[:100]
    }


@pytest.mark.parametrize(
    ("query", "arguments", "expected"),
    [
        ("(ID=1)", {}, 20201),
        ("(LastUpdated=2100-01-01)", {}, 20201),
        ("(LastUpdated=2020-01-01)", {"Offset": "121"}, 20201),
        ("(Price=0+)", {}, 20206),
        ("", {}, 20206),
        ("(ID=1,x)", {}, 20206),
        ("(ID=0 )", {}, 20206),
        ("(LastUpdated=2020-13-01T00:00:00Z)", {}, 20206),
        ("(ID=*)", {"SearchType": "House"}, 20206),
        ("(ID=*)", {"Class": "Agent"}, 20206),
        ("(ID=*)", {"QueryType": "SQL"}, 20206),
        ("(ID=*)", {"Limit": "many"}, 20206),
        ("(LastUpdated=2020-01-01)", {"Offset": "0"}, 20206),
        ("(ID=*)", {"Count": "3"}, 20206),
        ("(LastUpdated=2020-01-01)", {"Limit": "101"}, 20208),
        (f"(ID={','.join(map(str, range(101)))})", {}, 20208),
        ("(ID=*)", {"Format": "COMPACT"}, 20203),
    ],
)
def test_refusals(client: Client, query: str, arguments: dict[str, str], expected: int) -> None:
    assert code(client.search(query, **arguments)) == expected


def test_changed_since_comes_in_pages(client: Client) -> None:
    master = client.master_list()
    found: list[str] = []
    for offset in range(1, 122, 50):
        response = client.search("(LastUpdated=2020-01-01T00:00:00Z)", Limit="50", Offset=offset)
        found += [record.get("ID") for record in records(response, "PropertyDetails")]
        assert text(root(response), "RETS-RESPONSE/Pagination/TotalPages") == "3"
    assert sorted(found) == sorted(master)


def test_changed_since_means_at_or_after(client: Client) -> None:
    truth = control(client.sandbox, "truth")["listings"]
    moments = sorted(listing["last_updated"] for listing in truth.values())
    since = moments[-10]
    response = client.search(f"(LastUpdated={since.replace('+00:00', 'Z')})", Limit="NONE")
    found = {record.get("ID") for record in records(response, "PropertyDetails")}
    assert found == {key for key, value in truth.items() if value["last_updated"] >= since}


def test_count(client: Client) -> None:
    without = root(client.search("(ID=*)", Count="0"))
    assert without.find("COUNT") is None
    assert len(without.findall(".//{*}Property")) == 120
    only = root(client.search("(ID=*)", Count="2"))
    assert only.find("COUNT").get("Records") == "120"
    assert len(only) == 1


def test_compression_is_as_the_client_wants_it(client: Client) -> None:
    packed = client.search("(ID=*)")
    client.http.headers["Accept-Encoding"] = "identity"
    plain = client.search("(ID=*)")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.content == plain.content


@pytest.mark.parametrize("resource", ["Agent", "Office"])
def test_people_are_searched_likewise(client: Client, resource: str) -> None:
    arguments = {"SearchType": resource, "Class": resource}
    response = client.search("(ID=*)", **arguments)
    assert f'xmlns="urn:CREA.Search.{resource}"' in response.text
    keys = [record.get("ID") for record in records(response, resource)]
    response = client.search(f"(ID={','.join(keys[:20])})", **arguments)
    found = records(response, f"{resource}Details")
    assert [record.get("ID") for record in found] == keys[:20]
    assert all(text(record, "Name") for record in found)
    assert all(text(record, "Address/City") for record in found)
    assert all(record.get("LastUpdated") for record in found)


def test_people_of_listings_can_be_searched(client: Client) -> None:
    truth = control(client.sandbox, "truth")["listings"]
    listing = next(iter(truth.values()))
    response = client.search(
        f"(ID={','.join(listing['agents'])})", SearchType="Agent", Class="Agent"
    )
    names = {r.get("ID"): text(r, "Name") for r in records(response, "AgentDetails")}
    expected = dict(zip(listing["agents"], listing["agent_names"], strict=True))
    assert names == expected


def test_metadata(client: Client) -> None:
    def ask(kind: str, identity: str = "0") -> requests.Response:
        return client.get("/Metadata.svc/GetMetadata", Type=kind, ID=identity)

    assert root(ask("METADATA-SYSTEM")).find(".//System").get("SystemID") == "SANDBOX"
    resources = [found.text for found in root(ask("METADATA-RESOURCE")).iter("ResourceID")]
    assert resources == ["Property", "Agent", "Office"]
    assert len(root(ask("METADATA-CLASS", "Property")).findall(".//ClassName")) == 1
    rooms = root(ask("METADATA-LOOKUP_TYPE", "Property:RoomType"))
    assert "Recreational, Games room" in [value.text for value in rooms.iter("LongValue")]
    units = root(ask("METADATA-LOOKUP_TYPE", "Property:MeasureUnit"))
    assert [value.text for value in units.iter("Value")] == ["1", "2", "4", "5", "7", "10"]
    assert len(root(ask("METADATA-LOOKUP_TYPE", "*")).findall(".//METADATA-LOOKUP_TYPE")) > 60
    assert code(ask("METADATA-LOOKUP_TYPE", "Property:Nothing")) == 20503
    assert code(ask("METADATA-TABLE")) == 20501


def test_objects_are_not_streamed_any_more(client: Client) -> None:
    arguments = {"Resource": "Property", "Type": "LargePhoto", "ID": "1:1"}
    assert code(client.get("/Object.svc/GetObject", **arguments)) == 20403
    assert code(client.get("/Object.svc/GetObject", Type="Photo")) == 20413


def test_a_request_without_end_is_refused(client: Client) -> None:
    url = f"{client.sandbox.url}/Search.svc/Search"
    assert client.http.post(url, data={"Query": "x" * 1_100_000}).status_code == 413
