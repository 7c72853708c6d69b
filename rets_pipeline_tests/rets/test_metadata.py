"""Metadata in both formats, and how it is loaded over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from rets_pipeline.rets import (
    ALL_TYPES,
    Metadata,
    MetadataCache,
    MetadataDocument,
    NotLoggedIn,
    QueryRefused,
    RetryLater,
    Session,
    load_all_at_once,
    load_metadata,
)
from rets_pipeline.rets.metadata import PLACES, canonical_type
from rets_pipeline.rets.metadata_reading import read_metadata

from .scripted_server import LOGIN, Canned, ScriptedServer, reply

METADATA = "/Metadata.svc/GetMetadata"
STAMP = 'Version="1.00.00001" Date="Fri, 29 Jun 2012 00:00:00 GMT"'

Entries = dict[tuple[str, tuple[str, ...]], list[dict[str, str]]]

#: what the server of these tests knows
WORLD: Entries = {
    ("METADATA-SYSTEM", ()): [
        {"SystemID": "TEST", "SystemDescription": "A test & more", "Comments": "None"}
    ],
    ("METADATA-RESOURCE", ()): [
        {
            "ResourceID": "Property",
            "StandardName": "Property",
            "KeyField": "Key",
            "ClassCount": "2",
        },
        {"ResourceID": "Agent", "StandardName": "Agent", "KeyField": "Id", "ClassCount": "1"},
    ],
    ("METADATA-CLASS", ("Property",)): [
        {"ClassName": "RES", "VisibleName": "Residential"},
        {"ClassName": "COM", "VisibleName": "Commercial"},
    ],
    ("METADATA-CLASS", ("Agent",)): [{"ClassName": "AGENT"}],
    ("METADATA-TABLE", ("Property", "RES")): [
        {"SystemName": "Key", "DataType": "Int", "MaximumLength": "10"},
        {
            "SystemName": "Price",
            "DataType": "Decimal",
            "Precision": "2",
            "StandardName": "ListPrice",
        },
        {
            "SystemName": "Heat",
            "DataType": "Character",
            "Interpretation": "LookupMulti",
            "LookupName": "Heat",
        },
    ],
    ("METADATA-TABLE", ("Property", "COM")): [{"SystemName": "Key", "DataType": "Int"}],
    ("METADATA-TABLE", ("Agent", "AGENT")): [{"SystemName": "Id", "DataType": "Character"}],
    ("METADATA-OBJECT", ("Property",)): [{"ObjectType": "Photo", "MIMEType": "image/jpeg"}],
    ("METADATA-LOOKUP", ("Property",)): [
        {"LookupName": "Heat", "VisibleName": "Heating", "MetadataEntryID": "H1"},
        {"LookupName": "Empty"},
    ],
    ("METADATA-LOOKUP_TYPE", ("Property", "Heat")): [
        {"Value": "1", "LongValue": "Gas, natural", "ShortValue": "Gas"},
        {"Value": "2", "LongValue": "Oil", "ShortValue": "Oil"},
    ],
    ("METADATA-EDITMASK", ("Property",)): [{"EditMaskID": "1", "Value": "[0-9]+"}],
    ("METADATA-FOREIGNKEYS", ()): [{"ForeignKeyID": "1", "ParentResourceID": "Property"}],
    ("METADATA-UPDATE", ("Property", "RES")): [{"UpdateName": "Add"}],
    ("METADATA-UPDATE_TYPE", ("Property", "RES", "Add")): [
        {"SystemName": "Price", "Attributes": "1,2"}
    ],
    ("METADATA-COLUMN_GROUP", ("Property", "RES")): [{"ColumnGroupName": "Rooms"}],
    ("METADATA-COLUMN_GROUP_TABLE", ("Property", "RES", "Rooms")): [{"SystemName": "Heat"}],
    ("METADATA-FILTER", ()): [{"FilterID": "F"}],
    ("METADATA-FILTER_TYPE", ("F",)): [{"ParentValue": "x"}],
}

ELEMENTS = {
    "METADATA-TABLE": "Field",
    "METADATA-LOOKUP": "LookupType",
    "METADATA-LOOKUP_TYPE": "Lookup",
}


def attributes(kind: str, path: tuple[str, ...]) -> str:
    named = zip(PLACES[kind], path, strict=True)
    return " ".join([*(f'{name}="{escape(value)}"' for name, value in named), STAMP])


def compact(kind: str, path: tuple[str, ...], entries: list[dict[str, str]]) -> str:
    if kind == "METADATA-SYSTEM":
        (entry,) = entries
        values = " ".join(
            f'{name}="{escape(value)}"' for name, value in entry.items() if name != "Comments"
        )
        comments = escape(entry.get("Comments", ""))
        return f"<{kind} {STAMP}><SYSTEM {values} /><COMMENTS>{comments}</COMMENTS></{kind}>"
    columns = list(dict.fromkeys(name for entry in entries for name in entry))
    rows = "".join(
        "<DATA>\t" + "\t".join(escape(entry.get(name, "")) for name in columns) + "\t</DATA>"
        for entry in entries
    )
    heads = "<COLUMNS>\t" + "\t".join(columns) + "\t</COLUMNS>"
    return f"<{kind} {attributes(kind, path)}>{heads}{rows}</{kind}>"


def standard(kind: str, path: tuple[str, ...], entries: list[dict[str, str]]) -> str:
    name = ELEMENTS.get(kind, kind.removeprefix("METADATA-").title().replace("_", ""))
    rows = "".join(
        f"<{name}>"
        + "".join(f"<{key}>{escape(value)}</{key}>" for key, value in entry.items())
        + f"</{name}>"
        for entry in entries
    )
    return f"<{kind} {attributes(kind, path)}>{rows}</{kind}>"


def document(world: Entries, metadata_format: str = "COMPACT") -> bytes:
    write = compact if metadata_format == "COMPACT" else standard
    inside = "".join(write(kind, path, entries) for (kind, path), entries in world.items())
    return reply(
        0, "", inside if metadata_format == "COMPACT" else f"<METADATA>{inside}</METADATA>"
    )


def read(body: bytes, identifier: str = "") -> MetadataDocument:
    return read_metadata(etree.fromstring(body), identifier)


def content(found: MetadataDocument) -> Entries:
    return {
        (table.metadata_type, table.path): [dict(entry) for entry in table.entries]
        for table in found.tables
    }


def metadata(world: Entries) -> Metadata:
    found = read(document(world))
    return Metadata(found.tables, found.problems)


# Reading


@pytest.mark.parametrize("metadata_format", ["COMPACT", "STANDARD-XML"])
def test_both_formats_say_the_same(metadata_format: str) -> None:
    found = read(document(WORLD, metadata_format))
    assert found.problems == ()
    world = {key: [dict(entry) for entry in entries] for key, entries in WORLD.items()}
    if metadata_format == "COMPACT":
        system = world["METADATA-SYSTEM", ()][0]
        system["COMMENTS"] = system.pop("Comments")
    assert content(found) == world
    assert {table.version for table in found.tables} == {"1.00.00001"}


# In one case, because a table knows a name in one case only.
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
TEXTS = st.text(
    st.characters(
        exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"], exclude_characters="\ufffe\uffff"
    ),
    min_size=1,
    max_size=10,
)


@settings(deadline=None)
@given(st.data(), st.sampled_from(["COMPACT", "STANDARD-XML"]))
def test_a_round_trip(data: st.DataObject, metadata_format: str) -> None:
    kinds = data.draw(
        st.lists(
            st.sampled_from([kind for kind in ALL_TYPES if kind != "METADATA-SYSTEM"]),
            max_size=5,
            unique=True,
        )
    )
    entry = st.dictionaries(NAMES, TEXTS, min_size=1, max_size=5)
    world: Entries = {}
    for kind in kinds:
        path = tuple(data.draw(TEXTS) for _ in PLACES[kind])
        world[kind, path] = data.draw(st.lists(entry, min_size=1, max_size=4))
    found = read(document(world, metadata_format))
    assert content(found) == world
    tree = Metadata(found.tables)
    copy = Metadata.from_dict(tree.to_dict())
    assert copy.content_hash == tree.content_hash
    assert copy.tables == tree.tables


def test_nested_elements_know_their_places() -> None:
    body = reply(
        0,
        "",
        f"<METADATA><METADATA-SYSTEM {STAMP}><System SystemID='S' SystemDescription='D'>"
        f"<METADATA-RESOURCE {STAMP}><Resource><ResourceID>Property</ResourceID>"
        f"<METADATA-CLASS><Class><ClassName>RES</ClassName><METADATA-TABLE><Field>"
        f"<SystemName>Key</SystemName><DataType>Int</DataType></Field></METADATA-TABLE></Class>"
        f"</METADATA-CLASS><METADATA-LOOKUP><LookupType><LookupName>Heat</LookupName>"
        f"<METADATA-LOOKUP_TYPE><Lookup><Value>1</Value><LongValue>Oil</LongValue></Lookup>"
        f"</METADATA-LOOKUP_TYPE></LookupType></METADATA-LOOKUP>"
        f"</Resource></METADATA-RESOURCE></System></METADATA-SYSTEM></METADATA>",
    )
    found = read(body)
    assert found.problems == ()
    tree = Metadata(found.tables)
    assert tree.system["systemid"] == "S"
    resource = tree.resources["Property"]
    assert resource.classes["RES"].fields["Key"].data_type == "Int"
    assert [value.long_value for value in resource.lookups["Heat"].values] == ["Oil"]


@pytest.mark.parametrize(
    ("rows", "expected", "problems"),
    [
        ("<COLUMNS>A\tB</COLUMNS><DATA>1\t2</DATA>", [{"A": "1", "B": "2"}], 0),
        ("<COLUMNS>\tA\tB\t</COLUMNS><DATA>1\t2</DATA>", [{"A": "1", "B": "2"}], 0),
        ("<COLUMNS>\tA\tB\t</COLUMNS><DATA>\t1\t2</DATA>", [{"A": "1", "B": "2"}], 0),
        ("<COLUMNS>A\tB</COLUMNS><DATA>\t1\t2\t</DATA>", [{"A": "1", "B": "2"}], 0),
        ("<COLUMNS>\tA\tB\t</COLUMNS><DATA>\t\t2\t</DATA>", [{"B": "2"}], 0),
        ("<COLUMNS>\tA\tB\t</COLUMNS><DATA>\t\t\t</DATA>", [{}], 0),
        (
            "<COLUMNS>\tA\tB\t</COLUMNS><DATA>\t1\t2\t3\t</DATA><DATA>\t1\t2\t</DATA>",
            [{"A": "1", "B": "2"}],
            1,
        ),
        ("<COLUMNS>\tA\tB\t</COLUMNS><DATA>\t1</DATA>", [], 1),
        (
            '<DELIMITER value="7c"/><COLUMNS>|A|B|</COLUMNS><DATA>|1|2|</DATA>',
            [{"A": "1", "B": "2"}],
            0,
        ),
        ("<COLUMNS>\n\tA\tB\t\n</COLUMNS>\n<DATA>\n\t1\t2\t\n</DATA>", [{"A": "1", "B": "2"}], 0),
    ],
)
def test_rows_at_their_edges(rows: str, expected: list[dict[str, str]], problems: int) -> None:
    found = read(reply(0, "", f"<METADATA-CLASS Resource='P'>{rows}</METADATA-CLASS>"))
    (table,) = found.tables
    assert [dict(entry) for entry in table.entries] == expected
    assert len(found.problems) == problems


def test_names_in_any_case_and_unknown_types() -> None:
    body = reply(
        0,
        "",
        "<metadata-class resource='P' version='1'><columns>\tclassname\t</columns>"
        "<data>\tRES\t</data></metadata-class>"
        "<METADATA-NEW_THING Resource='P' Other='x' Date='d'><Thing><Name>a</Name></Thing>"
        "</METADATA-NEW_THING>"
        "<METADATA-FOREIGN_KEYS><ForeignKey><ForeignKeyID>1</ForeignKeyID></ForeignKey>"
        "</METADATA-FOREIGN_KEYS>",
    )
    tree = Metadata(read(body).tables)
    assert list(tree.resources["p"].classes) == ["RES"]
    assert tree.entries("new_thing", "p", "X")[0]["NAME"] == "a"
    assert tree.entries("METADATA-FOREIGNKEYS")[0]["ForeignKeyID"] == "1"
    assert canonical_type("foreign_keys") == "METADATA-FOREIGNKEYS"


def test_places_come_from_the_request_last() -> None:
    body = reply(
        0,
        "",
        "<METADATA-TABLE><COLUMNS>\tSystemName\t</COLUMNS><DATA>\tKey\t</DATA></METADATA-TABLE>",
    )
    assert read(body, "Property:RES").tables[0].path == ("Property", "RES")
    nowhere = read(body, "0")
    assert nowhere.tables[0].path == ("", "")
    assert "where it belongs" in nowhere.problems[0]


# The tree


def test_the_tree() -> None:
    tree = metadata(WORLD)
    assert list(tree.resources) == ["Property", "Agent"]
    resource = tree.resources["PROPERTY"]
    assert resource.key_field == "Key"
    assert list(resource.classes) == ["RES", "COM"]
    price = resource.classes["res"].fields["PRICE"]
    assert (price.standard_name, price.data_type, price.precision) == ("ListPrice", "Decimal", 2)
    assert (price.maximum_length, price.lookup_name, price.long_name) == (None, "", "")
    assert resource.classes["RES"].fields["Key"].maximum_length == 10
    assert list(resource.lookups) == ["Heat", "Empty"]
    assert resource.lookup("h1") is resource.lookup("HEAT") is resource.lookups["Heat"]
    assert resource.lookup("") is resource.lookup("Cold") is None
    assert resource.objects["photo"]["MIMEType"] == "image/jpeg"
    assert tree.entries("EDITMASK", "property")[0]["Value"] == "[0-9]+"
    assert tree.problems == ()
    assert repr(tree) == "<Metadata Property, Agent>"


def test_values_under_the_id_of_a_lookup() -> None:
    world = dict(WORLD)
    world["METADATA-LOOKUP_TYPE", ("Property", "H1")] = world.pop(
        ("METADATA-LOOKUP_TYPE", ("Property", "Heat"))
    )
    lookups = metadata(world).resources["Property"].lookups
    assert list(lookups) == ["Heat", "Empty"]
    assert len(lookups["Heat"].values) == 2


def test_duplicates_and_orphans_are_reported() -> None:
    world = dict(WORLD)
    world["METADATA-CLASS", ("Property",)] = [
        {"ClassName": "RES"},
        {"ClassName": "res", "VisibleName": "Other"},
        {"ClassName": "COM"},
        {"ClassName": "COM"},
        {"VisibleName": "no name"},
    ]
    world["METADATA-TABLE", ("Property", "LOST")] = [{"SystemName": "Key"}]
    world["METADATA-TABLE", ("Office", "OFF")] = [{"SystemName": "Key"}]
    tree = metadata(world)
    assert list(tree.resources["Property"].classes) == ["RES", "COM", "LOST"]
    assert list(tree.resources["Office"].classes) == ["OFF"]
    text = "\n".join(tree.problems)
    for problem in (
        "METADATA-CLASS names res twice, with differences",
        "METADATA-CLASS names COM twice",
        "an entry of METADATA-CLASS has no name",
        "Property:LOST: there are fields",
        "Office: there are METADATA-TABLE",
    ):
        assert problem in text


def test_the_hash_knows_content_only() -> None:
    tree = metadata(WORLD)
    backwards = {key: entries[::-1] for key, entries in reversed(WORLD.items())}
    assert metadata(backwards).content_hash == tree.content_hash
    newer = document(WORLD).replace(b"2012", b"2024").replace(b"1.00.00001", b"2")
    assert Metadata(read(newer).tables).content_hash == tree.content_hash
    changed = document(WORLD).replace(b"Oil", b"Coal")
    assert Metadata(read(changed).tables).content_hash != tree.content_hash


# Loading

Serve = Callable[[dict[str, str]], bytes]


def serve(
    *,
    formats: tuple[str, ...] = ("COMPACT", "STANDARD-XML"),
    wildcards: tuple[str, ...] = ("0", "*"),
    world: Entries = WORLD,
    refusal: int = 20502,
) -> Serve:
    def answer(form: dict[str, str]) -> bytes:
        kind = canonical_type(form["Type"])
        if form["Format"] not in formats:
            return reply(20514, "No such format")
        if not any(known == kind for known, _ in world):
            return reply(20501, "Unknown type")
        identifier = form["ID"]
        if identifier in ("0", "*") and PLACES[kind] and identifier not in wildcards:
            return reply(refusal, "No wildcards")
        asked = tuple(identifier.split(":"))
        chosen = {
            key: entries
            for key, entries in world.items()
            if key[0] == kind and (identifier in ("0", "*") or key[1] == asked)
        }
        if not chosen:
            return reply(20503, "No metadata")
        return document(chosen, form["Format"])

    return answer


def load(server: ScriptedServer, session: Session, answer: Serve, **settings: object) -> Metadata:
    server.handlers[METADATA] = answer
    return load_metadata(session, **settings)  # type: ignore[arg-type]


def asked(server: ScriptedServer) -> list[tuple[str, str, str]]:
    forms = [item.form for item in server.asked(METADATA)]
    return [(form["Type"], form["ID"], form["Format"]) for form in forms]


USUAL = {
    kind
    for kind, _ in WORLD
    if kind.removeprefix("METADATA-")
    in ("SYSTEM", "RESOURCE", "CLASS", "TABLE", "OBJECT", "LOOKUP", "LOOKUP_TYPE")
}
USUAL_WORLD = metadata({key: entries for key, entries in WORLD.items() if key[0] in USUAL})


def same(found: Metadata) -> bool:
    def fields(tree: Metadata) -> object:
        return {
            name: (
                {title: list(item.fields) for title, item in resource.classes.items()},
                {title: item.values for title, item in resource.lookups.items()},
                list(resource.objects),
            )
            for name, resource in tree.resources.items()
        }

    return fields(found) == fields(USUAL_WORLD)


def test_wildcards_need_few_requests(server: ScriptedServer, session: Session) -> None:
    found = load(server, session, serve())
    assert same(found)
    assert found.problems == ()
    # The last two: the agents have no objects and no lookups, and the empty lookup no values.
    assert len(asked(server)) <= 10
    assert {item for item in asked(server) if item[1] not in ("0", "*")} == {
        ("METADATA-OBJECT", "Agent", "COMPACT"),
        ("METADATA-LOOKUP", "Agent", "COMPACT"),
        ("METADATA-LOOKUP_TYPE", "Property:Empty", "COMPACT"),
    }


@pytest.mark.parametrize("wildcards", [("*",), ("0",), ()])
@pytest.mark.parametrize("refusal", [20502, 20503, 20501, 20500])
def test_without_wildcards(
    server: ScriptedServer, session: Session, wildcards: tuple[str, ...], refusal: int
) -> None:
    assert same(load(server, session, serve(wildcards=wildcards, refusal=refusal)))


def test_place_by_place(server: ScriptedServer, session: Session) -> None:
    assert same(load(server, session, serve(), wildcards=False))
    assert ("METADATA-TABLE", "Property:RES", "COMPACT") in asked(server)
    assert ("METADATA-TABLE", "0", "COMPACT") not in asked(server)


@pytest.mark.parametrize("code", [20501, 20502, 20506, 20513, 20514])
@pytest.mark.parametrize("offered", ["COMPACT", "STANDARD-XML"])
@pytest.mark.parametrize("first", ["COMPACT", "STANDARD-XML"])
def test_the_other_format(
    server: ScriptedServer, session: Session, code: int, offered: str, first: str
) -> None:
    usual = serve(formats=(offered,))

    def answer(form: dict[str, str]) -> bytes:
        return usual(form) if form["Format"] == offered else reply(code, "No")

    found = load(server, session, answer, first_format=first)
    assert same(found)
    assert found.problems == ()
    # It is not asked for what it does not offer again and again.
    assert sum(item[2] != offered for item in asked(server)) <= 1


def test_an_incomplete_wildcard_answer(server: ScriptedServer, session: Session) -> None:
    usual = serve()

    def answer(form: dict[str, str]) -> bytes:
        if form["Type"] == "METADATA-TABLE" and form["ID"] == "0":
            return document(
                {
                    ("METADATA-TABLE", ("Property", "RES")): WORLD[
                        "METADATA-TABLE", ("Property", "RES")
                    ]
                }
            )
        return usual(form)

    assert same(load(server, session, answer))


def test_all_types(server: ScriptedServer, session: Session) -> None:
    found = load(server, session, serve(), types=ALL_TYPES)
    loaded = {(table.metadata_type, table.path) for table in found.tables}
    assert loaded == set(WORLD)
    assert all("20501" in problem for problem in found.problems)


def test_values_of_lookups_that_are_not_listed(server: ScriptedServer, session: Session) -> None:
    world = {key: entries for key, entries in WORLD.items() if key[0] != "METADATA-LOOKUP"}
    found = load(server, session, serve(world=world))
    assert [len(item.values) for item in found.resources["Property"].lookups.values()] == [2]
    assert any("METADATA-LOOKUP:" in problem for problem in found.problems)
    usual = serve(world=world, wildcards=())

    def answer(form: dict[str, str]) -> bytes:
        form = dict(form)
        if form["ID"] == "Property:*":
            form["ID"] = "Property:Heat"
        return usual(form)

    found = load(server, session, answer)
    assert list(found.resources["Property"].lookups) == ["Heat"]


def test_everything_at_once(server: ScriptedServer, session: Session) -> None:
    server.handlers[METADATA] = lambda form: document(WORLD, form["Format"])
    assert same(load_all_at_once(session))
    assert same(load_all_at_once(session, metadata_format="STANDARD-XML"))
    assert asked(server)[0] == ("METADATA-SYSTEM", "*", "COMPACT")


def test_a_wildcard_answer_that_holds_everything(server: ScriptedServer, session: Session) -> None:
    found = load(server, session, lambda form: document(WORLD, form["Format"]))
    assert same(found)
    assert len(asked(server)) <= 12


def test_get_metadata(server: ScriptedServer, session: Session) -> None:
    server.handlers[METADATA] = serve()
    found = session.get_metadata("METADATA-CLASS", "Property")
    assert content(found) == {
        ("METADATA-CLASS", ("Property",)): WORLD["METADATA-CLASS", ("Property",)]
    }
    assert session.get_metadata("METADATA-CLASS", "Nowhere").tables == ()
    with pytest.raises(QueryRefused) as caught:
        session.get_metadata("METADATA-NO", "0")
    assert caught.value.reply_code == 20501
    assert str(caught.value).startswith(f"{caught.value.server}: GetMetadata: ")


def test_a_trailer_takes_metadata_back(server: ScriptedServer, session: Session) -> None:
    body = document(WORLD).replace(b"</RETS>", b'<RETS-STATUS ReplyCode="20503"/></RETS>')
    server.answers(METADATA, body)
    assert session.get_metadata("METADATA-SYSTEM").tables == ()
    server.answers(METADATA, body.replace(b"20503", b"20500"))
    with pytest.raises(QueryRefused):
        session.get_metadata("METADATA-SYSTEM")


def test_metadata_survives_a_lost_session_and_a_busy_server(
    server: ScriptedServer, session: Session, waits: list[float]
) -> None:
    server.answers(METADATA, reply(20701), reply(20509), Canned(document(WORLD), cut_after=None))
    assert session.get_metadata("METADATA-SYSTEM", "*").tables
    assert (session.statistics.logins, len(waits)) == (2, 1)
    server.answers(METADATA, reply(20701))
    with pytest.raises(NotLoggedIn):
        load_metadata(session)


def test_errors_that_are_no_refusals_end_the_loading(
    server: ScriptedServer, open_session: Callable[..., Session]
) -> None:
    server.answers(METADATA, reply(20512))
    with pytest.raises(RetryLater):
        load_metadata(open_session(retries=0))


def test_the_users_server(server: ScriptedServer, session: Session) -> None:
    server.answers("/Login.svc/Login", LOGIN)
    server.answers(METADATA, document(WORLD))
    assert session.get_metadata("METADATA-SYSTEM", "*").problems == ()


# Keeping

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)


def test_the_cache_asks_when_it_must(tmp_path: Path) -> None:
    cache = MetadataCache(tmp_path / "cache")
    served = [metadata(WORLD)]
    calls: list[int] = []

    def fetch() -> Metadata:
        calls.append(1)
        return served[-1]

    def get(hours: float) -> tuple[bool, int]:
        found = cache.get(
            "rets.example.com/user",
            fetch,
            max_age=timedelta(hours=24),
            now=NOW + timedelta(hours=hours),
        )
        assert found.metadata.content_hash == served[-1].content_hash
        return found.changed, len(calls)

    assert get(0) == (True, 1)
    assert get(23) == (False, 1)
    assert get(25) == (False, 2)
    assert get(26) == (False, 2)
    served.append(Metadata(read(document(WORLD).replace(b"Oil", b"Coal")).tables))
    assert get(50) == (True, 3)
    # A clock that was set back proves nothing.
    assert get(-100) == (False, 4)
    assert len(list(tmp_path.rglob("*.json.gz"))) == 2
    assert list(tmp_path.rglob(".*")) == []


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"{}", b"\x1f\x8b junk", b'{"content_hash":1,"checked_at":2}']
)
@pytest.mark.parametrize("pattern", ["current.json", "*.json.gz"])
def test_a_damaged_cache_is_none(tmp_path: Path, damage: bytes, pattern: str) -> None:
    cache = MetadataCache(tmp_path)
    cache.save("a", metadata(WORLD))
    assert cache.load("a") is not None
    (file,) = tmp_path.rglob(pattern)
    file.write_bytes(damage)
    assert cache.load("a") is None
    assert cache.save("a", metadata(WORLD)).changed
    assert cache.load("a") is not None


@pytest.mark.parametrize("name", ["..", "/", "../../etc", "a/b", "", "x" * 500, "é\0"])
def test_no_name_leaves_the_folder(tmp_path: Path, name: str) -> None:
    cache = MetadataCache(tmp_path / "cache")
    cache.save(name, metadata(WORLD))
    assert [item.name for item in tmp_path.iterdir()] == ["cache"]
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert cache.load(name) is not None
    assert cache.load(name + "!") is None


def test_mapping_of_names(tmp_path: Path) -> None:
    tree = metadata(WORLD)
    fields: Mapping[str, object] = tree.resources["Property"].classes["RES"].fields
    assert "KEY" in fields
    assert 5 not in fields  # type: ignore[comparison-overlap]
    assert fields.get("none") is None
    assert fields.get("none", 5) == 5
    assert list(fields) == ["Key", "Price", "Heat"]
    assert len(fields) == 3
