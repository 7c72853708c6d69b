"""Faults of a login answer.

What belongs here: section 8 of the catalogue. What does not: who may log in (``admission``).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from rets_pipeline.sandbox.answers import Answer, rets
from rets_pipeline.sandbox.faults.catalogue import Turn, spoils_answer, spoils_content
from rets_pipeline.sandbox.login import LoginLines

_URLS = ("Action", "GetMetadata", "GetObject", "Login", "Logout", "Search")
_LOGIN = ("Login",)


def _paths(lines: LoginLines) -> dict[str, str]:
    return {key: urlsplit(value).path for key, value in lines.lines if key in _URLS}


@spoils_content(LoginLines, 8, _LOGIN)
def capability_blanks(lines: LoginLines, _: Turn) -> None:
    """Blanks stand before and behind the addresses."""
    lines.lines = [(key, f"  {value} \t") for key, value in lines.lines]


@spoils_content(LoginLines, 8, _LOGIN)
def capability_spaced(lines: LoginLines, _: Turn) -> None:
    """RETS 1.5: blanks stand around the equals signs."""
    lines.equals = " = "


@spoils_content(LoginLines, 8, _LOGIN)
def capability_line_feeds(lines: LoginLines, _: Turn) -> None:
    """Lines end with a line feed alone."""
    lines.newline = "\n"


@spoils_content(LoginLines, 8, _LOGIN)
def capability_info_lines(lines: LoginLines, _: Turn) -> None:
    """RETS 1.8: facts stand in lines `Info=key;type;value`."""
    lines.lines = [
        (key, value) if key in _URLS else ("Info", f"{key};Character;{value}")
        for key, value in lines.lines
    ]


@spoils_content(LoginLines, 8, _LOGIN)
def capability_keys_lower_case(lines: LoginLines, _: Turn) -> None:
    """Keys are written in lower case."""
    lines.lines = [(key.lower(), value) for key, value in lines.lines]


@spoils_content(LoginLines, 8, _LOGIN)
def login_tags_lower_case(lines: LoginLines, _: Turn) -> None:
    """Tags are written in lower case."""
    lines.lower = True


@spoils_content(LoginLines, 8, _LOGIN)
def login_without_response_element(lines: LoginLines, _: Turn) -> None:
    """There is no RETS-RESPONSE element."""
    lines.wrapped = False


@spoils_content(LoginLines, 8, _LOGIN)
def capability_noise(lines: LoginLines, _: Turn) -> None:
    """Lines that are no pairs stand among the others."""
    noise = [("", "Welcome to our server!"), ("", ""), ("", "=nothing"), ("", "; ;")]
    lines.lines = [*noise, *lines.lines]


@spoils_content(LoginLines, 8, _LOGIN)
def capability_absolute(lines: LoginLines, turn: Turn) -> None:
    """Addresses are absolute."""
    base = turn.call.base_url
    lines.change({key: base + path for key, path in _paths(lines).items()})


@spoils_content(LoginLines, 8, _LOGIN)
def capability_from_root(lines: LoginLines, _: Turn) -> None:
    """Addresses are paths from the root of the server."""
    lines.change(_paths(lines))


@spoils_content(LoginLines, 8, _LOGIN)
def capability_relative(lines: LoginLines, _: Turn) -> None:
    # `..` and a name: for whoever pastes addresses together instead of resolving them.
    """Addresses are relative to the folder of the login."""
    lines.change({key: f"../{path.lstrip('/')}" for key, path in _paths(lines).items()})


@spoils_content(LoginLines, 8, _LOGIN)
def capability_without_scheme(lines: LoginLines, turn: Turn) -> None:
    """Addresses begin with two slashes and the host."""
    base = turn.call.base_url.partition(":")[2]
    lines.change({key: base + path for key, path in _paths(lines).items()})


@spoils_content(LoginLines, 8, _LOGIN, capability="GetObject")
def capability_on_other_host(lines: LoginLines, turn: Turn) -> None:
    """The address of one transaction is on another host."""
    base, name = turn.call.base_url, turn["capability"]
    swapped = base.replace("127.0.0.1", "localhost")
    if swapped == base:
        swapped = base.replace("localhost", "127.0.0.1")
    lines.change({name: swapped + _paths(lines)[name]})


@spoils_content(LoginLines, 8, _LOGIN, capability="Search")
def capability_unusable(lines: LoginLines, turn: Turn) -> None:
    """Addresses name a port that cannot be."""
    lines.change({turn["capability"]: "http://127.0.0.1:99999/rets"})


@spoils_content(LoginLines, 8, _LOGIN, names=["GetMetadata"])
def capability_missing(lines: LoginLines, turn: Turn) -> None:
    """Some transactions are not offered."""
    lines.lines = [(key, value) for key, value in lines.lines if key not in turn["names"]]


@spoils_answer(8, ("Login", "Search"), query="key=a=b&c=d==")
def capability_value_with_equals(answer: Answer, turn: Turn) -> None:
    """The search's address has a value with an equals sign, and is refused without it."""
    query, content = turn["query"], answer.content
    if isinstance(content, LoginLines):
        content.lines = [
            (key, f"{value}?{query}" if key == "Search" else value) for key, value in content.lines
        ]
    elif turn.call.request.scope["query_string"] != query.encode():
        answer.content = rets("", 20203, "The query is missing").content


@spoils_answer(8, ("Search",))
def login_query_unwanted(answer: Answer, turn: Turn) -> None:
    """The query of the login's address must not be sent to other transactions."""
    if turn.call.request.scope["query_string"]:
        answer.content = rets("", 20203, "Unexpected query").content
