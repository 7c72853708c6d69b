"""Columns, links and code references in the UI."""

from __future__ import annotations

import re
from pathlib import Path

import dagster as dg
import pytest

from rets_pipeline.orchestration import build_defs, columns, documentation, naming
from rets_pipeline.settings import Settings
from rets_pipeline.sources.registry import source_for
from rets_pipeline.warehouse.resources import LISTINGS, MEMBERS, OFFICES

_ROOT = Path(__file__).parents[2]
_REPOSITORY = "https://code.example/team/mirror"


@pytest.fixture
def linked(two_feeds: Settings) -> Settings:
    return two_feeds.model_copy(
        update={"repository_url": _REPOSITORY, "repository_branch": "release"}
    )


def nodes(settings: Settings) -> dict[str, dg.AssetSpec]:
    return {
        spec.key.to_user_string(): spec
        for definition in build_defs(settings).assets or ()
        if isinstance(definition, dg.AssetsDefinition)
        for spec in definition.specs
    }


def references(spec: dg.AssetSpec) -> list[object]:
    value = spec.metadata["dagster/code_references"]
    assert isinstance(value, dg.CodeReferencesMetadataValue)
    return list(value.code_references)


class TestDocuments:
    def test_every_document_and_heading_exists(self) -> None:
        used = {one for some in documentation.DOCUMENTS.values() for one in some}
        for _, file, anchor in used | {documentation.ASSETS}:
            text = (_ROOT / file).read_text(encoding="utf-8")
            headings = re.findall(r"^#+ (.*)$", text, re.M)
            anchors = {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}
            assert not anchor or anchor in anchors

    def test_assets_link_to_the_repository(self, linked: Settings) -> None:
        description = nodes(linked)["east/listings"].description or ""
        assert f"{_REPOSITORY}/blob/release/docs/mapping-ddf.md" in description
        assert f"{_REPOSITORY}/blob/release/README.md#the-warehouse" in description

    def test_a_repository_with_other_addresses(self, linked: Settings) -> None:
        elsewhere = linked.model_copy(update={"repository_url": "https://gitlab.example/a/b"})
        shown = documentation.link(documentation.WAREHOUSE, elsewhere)
        assert "https://gitlab.example/a/b/-/blob/release/README.md#the-warehouse" in shown

    def test_without_an_address_the_documents_are_named(self, two_feeds: Settings) -> None:
        for spec in nodes(two_feeds).values():
            assert "README.md, *What the assets mean*" in (spec.description or "")
            assert "](" not in (spec.description or "")


class TestCodeReferences:
    def test_they_lead_to_the_function(self, two_feeds: Settings) -> None:
        (found,) = references(nodes(two_feeds)["east/raw_listings"])
        assert isinstance(found, dg.LocalFileCodeReference)
        lines = Path(found.file_path).read_text(encoding="utf-8").splitlines()
        start = (found.line_number or 0) - 1
        assert "def raw_listings(" in "\n".join(lines[start : start + 30])

    def test_in_the_repository(self, linked: Settings) -> None:
        for spec in nodes(linked).values():
            (found,) = references(spec)
            assert isinstance(found, dg.UrlCodeReference)
            start = f"{_REPOSITORY}/tree/release/rets_pipeline/orchestration/"
            assert re.fullmatch(re.escape(start) + r"\w+\.py#L\d+", found.url)


class TestColumns:
    @pytest.mark.parametrize("resource", [LISTINGS, MEMBERS, OFFICES], ids=lambda one: one.kind)
    def test_every_lineage_joins_columns_that_the_schemas_have(self, resource: object) -> None:
        source = source_for("ddf")
        read = source if resource is LISTINGS else source.others[resource.name]  # type: ignore[attr-defined]
        raw = columns.raw_columns(read)["dagster/column_schema"]
        loaded = columns.loaded_columns("east", resource, read)  # type: ignore[arg-type]
        elements = {column.name for column in raw.columns}
        names = [column.name for column in loaded["dagster/column_schema"].columns]
        assert len(set(names)) == len(names)
        lineage = loaded["dagster/column_lineage"].deps_by_column
        assert lineage.keys() <= set(names)
        fed = {dep.column_name for deps in lineage.values() for dep in deps}
        assert fed <= elements
        upstream = naming.asset_key("east", naming.raw(resource))  # type: ignore[arg-type]
        assert {dep.asset_key for deps in lineage.values() for dep in deps} == {upstream}

    def test_a_price_comes_from_two_elements(self) -> None:
        loaded = columns.loaded_columns("east", LISTINGS, source_for("ddf"))
        deps = loaded["dagster/column_lineage"].deps_by_column["list_price"]
        assert {dep.column_name for dep in deps} == {
            "PropertyDetails/Price",
            "PropertyDetails/Lease",
        }
