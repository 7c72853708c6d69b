"""What docs/geocoding.md says of settings is what the settings are."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from pydantic import BaseModel

from rets_pipeline.settings import AddressSettings, GeocoderSettings

TEXT = (Path(__file__).parents[2] / "docs" / "geocoding.md").read_text(encoding="utf-8")


def documented(heading: str) -> dict[str, str]:
    """The defaults in a table, by setting."""
    table = TEXT.partition(f"| {heading} | default |")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]*?) *\|", table, re.MULTILINE))


def defaults(model: type[BaseModel]) -> dict[str, object]:
    return {
        name: field.default
        for name, field in model.model_fields.items()
        if not field.is_required() and field.default is not None
    }


def test_every_setting_is_documented_with_its_default() -> None:
    for model, heading in (
        (AddressSettings, "setting of `addresses`"),
        (GeocoderSettings, "setting of a geocoder"),
    ):
        told = documented(heading)
        assert told.keys() == model.model_fields.keys()
        for name, value in defaults(model).items():
            if isinstance(value, int | float):
                assert float(told[name]) == value, name
    assert documented("setting of `addresses`")["geocoders"] == "`[offline]`"
    assert AddressSettings().geocoders == (GeocoderSettings(name="offline"),)


def test_the_example_can_be_used() -> None:
    example = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[0])
    settings = AddressSettings.model_validate(example["feeds"]["ddf"]["addresses"])
    assert [geocoder.name for geocoder in settings.geocoders] == ["nominatim", "google", "offline"]
