"""Characters, encodings, and hostile documents."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from rets_pipeline.rets import DataBroken

from .bench import Bench, but, proves, search_fields

FORMS = ("COMPACT", "COMPACT-DECODED", "STANDARD-XML")
DROPPED = "Drops what XML cannot hold, counts it, and warns."

REPAIRED = [
    proves("control_characters", "Makes blanks of them or drops them; counts and warns.", {}, " "),
    proves("control_references", "Makes blanks of them or drops them; counts and warns.", {}, " "),
    proves("surrogate_references", "Joins the two; counts and warns.", {}, "\U0001f60a"),
    proves("surrogate_alone", DROPPED, {}, ""),
    proves("references_beyond_unicode", DROPPED, {}, ""),
    proves("stray_ampersands", "Escapes them; counts and warns.", {}, " R&R & co"),
    proves("html_entities", "Reads HTML's names; counts and warns.", {}, "\N{NO-BREAK SPACE}é"),
    proves("charset_mixed", "Reads that byte as windows-1252; counts and warns.", {}, " ®"),
]


def remarks(bench: Bench, form: str) -> tuple[list[str], dict[str, int]]:
    fields = search_fields(form)
    session = bench.session()
    if form == "STANDARD-XML":
        with session.search(fields, record="ResidentialProperty") as records:
            found = [record.findtext("PublicRemarks") or "" for record in records]
            return found, dict(records.repairs)
    with session.search_compact(fields) as answer:
        at = answer.columns.index("PublicRemarks")
        return [row[at] for row in answer], dict(answer.repairs)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "settings", "added"), REPAIRED)
def test_what_can_be_repaired(
    bench: Bench, form: str, name: str, settings: dict[str, Any], added: str
) -> None:
    good = [row["PublicRemarks"] for row in bench.truth(form)]
    bench.session().login()
    bench.switch_on(name, **settings)
    found, repairs = remarks(bench, form)
    assert found[1:] == good[1:]
    assert found[0].replace("  ", " ").rstrip() == f"{good[0]}{added}".rstrip()
    assert sum(repairs.values()) >= 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.fault("cdata", does="Reads it as text, or refuses the row.")
def test_cdata(bench: Bench, form: str) -> None:
    good = bench.truth(form)
    bench.switch_on("cdata", transaction="Search")
    added = good[0]["PublicRemarks"] + "R&R <b>"
    assert bench.read(form) == but(good, 0, {"PublicRemarks": added})


@pytest.mark.parametrize("transaction", ["Login", "GetMetadata"])
@pytest.mark.parametrize(("name", "settings", "added"), REPAIRED)
def test_other_documents_are_repaired_too(
    bench: Bench, transaction: str, name: str, settings: dict[str, Any], added: str
) -> None:
    bench.switch_on(name, transaction=transaction, **settings)
    session = bench.open()
    if transaction == "Login":
        information = session.login().information
        assert information["MemberName"] in (f"{added}Zoé Élite".strip(), f"{added}Zoé Élite")
    else:
        (table,) = session.get_metadata("METADATA-RESOURCE", "0", "STANDARD-XML").tables
        assert len(table.entries) == 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "name",
    [
        proves("charset_in_prolog", "Reads by the XML declaration."),
        proves("charset_in_header", "Reads by the Content-Type when the document says nothing."),
        proves("charset_header_wrong", "Believes the document before the Content-Type."),
        proves("charset_undeclared", "Reads windows-1252 where UTF-8 cannot be; counts and warns."),
        proves(
            "charset_prolog_wrong", "Reads windows-1252 where UTF-8 cannot be; counts and warns."
        ),
        proves("prolog_missing", "Reads UTF-8."),
        proves("byte_order_mark", "Skips it."),
        proves("utf_16", "Reads UTF-16 by its mark."),
    ],
)
def test_encodings(bench: Bench, form: str, name: str) -> None:
    bench.session().login()
    bench.switch_on(name, transaction="Search")
    assert bench.read(form) == bench.truth(form)


@pytest.mark.parametrize("transaction", ["Login", "GetMetadata"])
@pytest.mark.parametrize("name", ["charset_in_prolog", "charset_in_header", "charset_undeclared"])
def test_encodings_of_other_documents(bench: Bench, transaction: str, name: str) -> None:
    bench.switch_on(name, transaction=transaction)
    session = bench.open()
    assert session.login().information["MemberName"] == "Zoé Élite"
    assert session.get_metadata("METADATA-LOOKUP_TYPE", "Property:City").tables


REFUSED = [
    proves("stray_less_than", "Refuses it: nothing tells where the text ends.", {}),
    proves("charset_unknown", "Refuses it.", {}),
    proves("entity_bomb", "Refuses every document type.", {}),
    proves("external_entity", "Refuses every document type.", {}),
    proves("external_subset", "Refuses every document type.", {}),
    proves("deep_nesting", "Refuses more than a parser's depth.", {}),
    proves("huge_attribute", "Refuses a tag of such a size.", {}),
    proves("huge_opening", "Wants the opening tag within a limit.", {}),
]


@pytest.mark.parametrize("form", [*FORMS, "DDF"])
@pytest.mark.parametrize(("name", "settings"), REFUSED)
def test_what_no_parser_should_see(
    bench: Bench, form: str, name: str, settings: dict[str, Any]
) -> None:
    bench.session(form).login()
    bench.switch_on(name, transaction="Search", **settings)
    with pytest.raises(DataBroken):
        bench.read(form)
    assert bench.read(form) == bench.truth(form)


@pytest.mark.parametrize("transaction", ["Login", "GetMetadata"])
@pytest.mark.parametrize(("name", "settings"), REFUSED)
def test_nor_in_other_documents(
    bench: Bench, transaction: str, name: str, settings: dict[str, Any]
) -> None:
    bench.switch_on(name, transaction=transaction, **settings)
    session = bench.open()
    ask = (
        session.login if transaction == "Login" else partial(session.get_metadata, "METADATA-CLASS")
    )
    with pytest.raises(DataBroken):
        ask()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.fault("huge_text", does="Refuses a record above its limit of 32 MB.")
def test_a_huge_text(bench: Bench, form: str) -> None:
    bench.session().login()
    bench.switch_on("huge_text", transaction="Search", bytes=34_000_000)
    with pytest.raises(DataBroken):
        bench.read(form)
