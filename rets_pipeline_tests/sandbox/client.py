"""A client just good enough to test the sandbox: it shares nothing with ``rets_pipeline.rets``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import requests
from lxml import etree
from requests.auth import HTTPDigestAuth

from rets_pipeline.sandbox import RunningSandbox

PROPERTY = {
    "SearchType": "Property",
    "Class": "Property",
    "QueryType": "DMQL2",
    "Format": "STANDARD-XML",
}


class Client:
    def __init__(self, sandbox: RunningSandbox, *, login: bool = True) -> None:
        self.sandbox = sandbox
        self.http = requests.Session()
        self.http.auth = HTTPDigestAuth(sandbox.username, sandbox.password)
        self.http.headers["RETS-Version"] = "RETS/1.7.2"
        if login:
            assert code(self.http.get(sandbox.login_url)) == 0

    def pretend_host(self, host: str) -> None:
        """Ask under another name; requests would then hold the cookies back."""
        self.http.headers["Cookie"] = f"X-SESSIONID={self.http.cookies['X-SESSIONID']}"
        self.http.headers["Host"] = host

    def search(self, query: str, *, post: bool = False, **arguments: Any) -> requests.Response:
        arguments = {**PROPERTY, "Query": query, **arguments}
        url = f"{self.sandbox.url}/Search.svc/Search"
        if post:
            return self.http.post(url, data=arguments)
        return self.http.get(url, params=arguments)

    def get(self, path: str, **arguments: Any) -> requests.Response:
        return self.http.get(self.sandbox.url + path, params=arguments)

    def details(self, keys: Iterable[str]) -> dict[str, etree._Element]:
        response = self.search(f"(ID={','.join(keys)})")
        assert code(response) == 0, response.text
        return {record.get("ID"): record for record in records(response, "PropertyDetails")}

    def master_list(self) -> dict[str, str]:
        response = self.search("(ID=*)")
        assert code(response) == 0, response.text
        return {record.get("ID"): record.get("LastUpdated") for record in records(response)}


def control(sandbox: RunningSandbox, path: str, document: object = None) -> Any:
    """Ask ``/_sandbox``: GET, or POST when there is a document."""
    url = f"{sandbox.url}/_sandbox/{path}"
    response = requests.get(url) if document is None else requests.post(url, json=document)
    assert response.status_code == 200, response.text
    return response.json()


def change(sandbox: RunningSandbox, key: str, kind: str, **options: Any) -> Any:
    answer = control(sandbox, "change", {"listing_key": key, "kind": kind, **options})
    return answer["listings"][key]


def root(response: requests.Response) -> etree._Element:
    return etree.fromstring(response.content)


def code(response: requests.Response) -> int:
    assert response.status_code == 200, response.text
    return int(root(response).get("ReplyCode"))


def records(response: requests.Response, name: str = "Property") -> list[etree._Element]:
    return root(response).findall(f".//{{*}}{name}")


def text(element: etree._Element, path: str) -> str | None:
    found = element.find("/".join(f"{{*}}{part}" for part in path.split("/")))
    return None if found is None else found.text or ""


def texts(element: etree._Element, name: str) -> list[str]:
    return [found.text or "" for found in element.iter(f"{{*}}{name}")]


GENERIC = {
    "SearchType": "Property",
    "Class": "RES",
    "QueryType": "DMQL2",
    "Format": "COMPACT",
    "Query": "(ListingKey=0+)",
    "Count": "1",
}


class GenericClient:
    """The same for the generic server."""

    def __init__(self, sandbox: RunningSandbox, *, login: bool = True) -> None:
        self.sandbox = sandbox
        self.http = requests.Session()
        self.http.auth = HTTPDigestAuth(sandbox.username, sandbox.password)
        self.http.headers["RETS-Version"] = "RETS/1.7.2"
        if login:
            assert code(self.http.get(sandbox.generic_login_url)) == 0

    def search(self, **arguments: Any) -> requests.Response:
        return self.http.post(f"{self.sandbox.url}/rets/search", data={**GENERIC, **arguments})

    def metadata(self, kind: str, identity: str = "0", form: str = "COMPACT") -> requests.Response:
        arguments = {"Type": f"METADATA-{kind}", "ID": identity, "Format": form}
        return self.http.get(f"{self.sandbox.url}/rets/metadata", params=arguments)

    def objects(self, identity: str, **arguments: Any) -> requests.Response:
        wanted = {"Resource": "Property", "Type": "Photo", "ID": identity, **arguments}
        return self.http.get(f"{self.sandbox.url}/rets/object", params=wanted)

    def truth(self, *keys: object) -> dict[str, dict[str, Any]]:
        query = f"?keys={','.join(map(str, keys))}" if keys else ""
        found: dict[str, dict[str, Any]] = control(self.sandbox, f"generic/truth{query}")
        return found


def compact(response: requests.Response) -> list[dict[str, str]]:
    """The rows of a COMPACT answer that is as it should be."""
    document = root(response)
    columns = (document.findtext("COLUMNS") or "").split("\t")
    assert columns[0] == columns[-1] == ""
    rows = [(data.text or "").split("\t") for data in document.findall("DATA")]
    return [dict(zip(columns[1:-1], row[1:-1], strict=True)) for row in rows]
