"""The columns of Property:RES: every data type of RETS, lookups with commas in their values.

What belongs here: names, types, lookups and the values that a column may take. What does not:
rows (``listings``), and how metadata are written (``metadata``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from random import Random
from typing import Final

from rets_pipeline.sandbox.chance import chance

#: a column takes one of so many values; a byte of a row's digest chooses
VARIANTS: Final = 32
#: text, whole number, boolean, several lookup values, or nothing; a decimal number, a date and a
#: time are the text that RETS writes
Value = str | int | bool | tuple[str, ...] | None

#: lookup to (code, long value); codes are what COMPACT shows, long values what COMPACT-DECODED does
LOOKUPS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "Status": (("A", "Active"), ("U", "Active, Under Contract"), ("P", "Pending"), ("S", "Sold")),
    "PropertyType": (("RES", "Residential"), ("CON", "Condo, Strata"), ("LND", "Land")),
    "PropertySubType": (
        ("SF", "Single Family"),
        ("DX", "Duplex, Side by Side"),
        ("TH", "Townhouse"),
        ("MH", "Mobile / Manufactured <Home>"),
    ),
    "StreetSuffix": (("ST", "Street"), ("AV", "Avenue"), ("RD", "Road"), ("CR", "Crescent")),
    "City": (
        ("MTL", "Montréal"),
        ("QUE", "Québec"),
        ("VAN", "Vancouver"),
        ("STJ", "St. John's, NL"),
        ("TOR", "Toronto"),
    ),
    "StateOrProvince": (("QC", "Quebec"), ("BC", "British Columbia"), ("ON", "Ontario")),
    "Frequency": (("M", "Monthly"), ("Q", "Quarterly"), ("Y", "Yearly")),
    "Appliances": (
        ("1", "Dishwasher"),
        ("2", "Refrigerator"),
        ("3", "Oven - Wall, Double"),
        ("4", "Washer/Dryer, Stacked"),
        ("5", "Microwave"),
    ),
    "Heating": (("FA", "Forced Air"), ("BB", "Baseboard, Electric"), ("RD", "Radiant")),
    "Cooling": (("C", "Central Air"), ("W", "Wall Unit(s), Window Unit(s)"), ("N", "None")),
    "InteriorFeatures": (
        ("WB", "Wet Bar"),
        ("VC", "Vaulted Ceiling"),
        ("BI", "Built-ins, Bookcases"),
        ("IS", 'Island & "Butler" Pantry'),
    ),
    "ExteriorFeatures": (("DK", "Deck"), ("FN", "Fence, Full"), ("SH", "Shed")),
    "View": (("MT", "Mountain(s)"), ("WT", "Water, Ocean"), ("CT", "City")),
}

_STREETS = ("Rue Saint-Élie", "Maple", "Côte-des-Neiges", "King & Queen", "5th", "O'Brien")
_NAMES = ("Zoé Bélanger", "A. Smith-Jones", "François Côté", "Li Wei", "M. O'Neil, PREC")
_OFFICES = ("Élite Realty", "Coast & Sons Ltd.", "House of Homes, Inc.", "Prairie Realty®")
_SENTENCES = (
    "Superbe propriété rénovée à deux pas du métro.",
    "Bright corner unit; strata fee < $400.",
    'The owner calls it "the quiet end".',
    "Café, école & parc à proximité.",
    "New roof (2019) – see documents.",
    "Vendu tel quel, sans garantie légale.",
    "Call © Élite Realty® for details.",
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        name: its SystemName.
        type: RETS's DataType.
        length: MaximumLength.
        precision: of a Decimal.
        interpretation: empty, Number, Currency, Lookup or LookupMulti.
        lookup: its LookupName.
        long_name: for people.
        standard: its StandardName, or empty.
    """

    name: str
    type: str = "Character"
    length: int = 50
    precision: int = 0
    interpretation: str = ""
    lookup: str = ""
    standard: str = ""

    @property
    def long_name(self) -> str:
        """For people: the name with blanks."""
        return "".join(f" {c}" if c.isupper() else c for c in self.name).strip()

    def text(self, value: Value, *, decoded: bool) -> str:
        """A value as a search answer shows it, without any escape of XML.

        Args:
            value: of this column.
            decoded: long values of lookups instead of their codes.
        """
        if value is None:
            return ""
        if isinstance(value, bool):
            return "1" if value else "0"
        if isinstance(value, tuple):
            return ",".join(value if decoded else [self.code(item) for item in value])
        if self.lookup and not decoded:
            return self.code(str(value))
        return str(value)

    def code(self, long_value: str) -> str:
        """The code of one of its lookup's long values."""
        return next(code for code, name in LOOKUPS[self.lookup] if name == long_value)

    def long_value(self, code: str) -> str | None:
        """The reverse; None when no value has that code."""
        return next((name for known, name in LOOKUPS[self.lookup] if known == code), None)


def _currency(name: str) -> Column:
    return Column(name, "Decimal", 14, 2, "Currency")


def _number(name: str, kind: str, length: int = 10, precision: int = 0) -> Column:
    return Column(name, kind, length, precision, "Number")


def _lookup(name: str, lookup: str = "") -> Column:
    return Column(name, "Character", 40, 0, "Lookup", lookup or name, name)


def _several(name: str) -> Column:
    return Column(name, "Character", 400, 0, "LookupMulti", name)


COLUMNS: Final[tuple[Column, ...]] = (
    Column("ListingKey", "Long", 18, standard="ListingKey"),
    Column("ListingID", length=20, standard="ListingID"),
    Column("ModificationTimestamp", "DateTime", 27, standard="ModificationTimestamp"),
    Column("PhotosChangeTimestamp", "DateTime", 27),
    _number("PhotosCount", "Tiny", 3),
    _lookup("Status"),
    _lookup("PropertyType"),
    _lookup("PropertySubType"),
    _currency("ListPrice"),
    _currency("OriginalListPrice"),
    _currency("ClosePrice"),
    Column("ListingContractDate", "Date", 10, standard="ListDate"),
    Column("ExpirationDate", "Date", 10),
    Column("CloseDate", "Date", 10),
    Column("EntryTimestamp", "DateTime", 27),
    Column("ShowingStartTime", "Time", 12),
    Column("ShowingEndTime", "Time", 12),
    _number("BedroomsTotal", "Tiny", 3),
    _number("BathroomsFull", "Tiny", 3),
    _number("BathroomsHalf", "Tiny", 3),
    _number("BathroomsTotal", "Decimal", 4, 1),
    _number("Stories", "Decimal", 3, 1),
    _number("YearBuilt", "Small", 4),
    _number("LivingArea", "Int"),
    _number("LotSizeSquareFeet", "Long", 18),
    _number("LotSizeAcres", "Decimal", 12, 4),
    _number("GarageSpaces", "Tiny", 3),
    _number("ParkingTotal", "Small", 4),
    _currency("TaxAnnualAmount"),
    _number("TaxYear", "Small", 4),
    _currency("AssociationFee"),
    _lookup("AssociationFeeFrequency", "Frequency"),
    _number("DaysOnMarket", "Small", 4),
    _number("Latitude", "Decimal", 12, 8),
    _number("Longitude", "Decimal", 12, 8),
    _number("Elevation", "Int"),
    _number("ViewCount", "Long", 18),
    Column("StreetNumber", length=12),
    Column("StreetName", length=60),
    _lookup("StreetSuffix"),
    Column("UnitNumber", length=12),
    _lookup("City"),
    Column("Subdivision", length=40),
    _lookup("StateOrProvince"),
    Column("PostalCode", length=10),
    Column("Directions", length=200),
    Column("PublicRemarks", length=4000, standard="Remarks"),
    Column("PrivateRemarks", length=1000),
    Column("WaterfrontYN", "Boolean", 1),
    Column("PoolYN", "Boolean", 1),
    Column("FireplaceYN", "Boolean", 1),
    Column("NewConstructionYN", "Boolean", 1),
    _several("Appliances"),
    _several("Heating"),
    _several("Cooling"),
    _several("InteriorFeatures"),
    _several("ExteriorFeatures"),
    _several("View"),
    Column("ListAgentKey", "Long", 18, standard="ListAgentID"),
    Column("ListAgentName", length=60),
    Column("ListOfficeKey", "Long", 18),
    Column("ListOfficeName", length=60),
    Column("VirtualTourURL", length=200),
)
BY_NAME: Final = {column.name.lower(): column for column in COLUMNS}

_FREE_TEXTS: Final[dict[str, Sequence[str | None]]] = {
    "StreetName": _STREETS,
    "Subdivision": ("Le Plateau", "Old Town", None, "North End"),
    "PostalCode": ("H2X 1Y4", "V6B 2W9", "G1R 4P5"),
    "UnitNumber": (None, None, "12", "PH-3", "0007"),
    "StreetNumber": ("1", "1234", "55-A", "007"),
    "Directions": (None, "Main St. to 5th, then left", "À gauche après l'église"),
    "ListAgentName": _NAMES,
    "ListOfficeName": _OFFICES,
    "PrivateRemarks": (None, "Lockbox on the gate", "Appelez d'abord"),
    "VirtualTourURL": (None, "https://tours.example.com/?id=7&lang=fr"),
}
_SCALES: Final = {
    "Tiny": (0, 9),
    "Small": (1900, 2024),
    "Int": (-400, 6000),
    "Long": (1, 9_000_000_000),
}


def variants(seed: int, column: Column) -> tuple[Value, ...]:
    """The values that a column takes, for one world."""
    random = chance(seed, "column", column.name)
    return tuple(_value(random, column) for _ in range(VARIANTS))


def _value(random: Random, column: Column) -> Value:
    if column.name in _FREE_TEXTS:
        return random.choice(_FREE_TEXTS[column.name])
    if column.interpretation == "LookupMulti":
        names = [name for _, name in LOOKUPS[column.lookup]]
        # In the order of the list; nothing at all now and then.
        return tuple(name for name in names if random.random() < 0.4) or None
    if column.lookup:
        return random.choice(LOOKUPS[column.lookup])[1]
    if column.name != "ListPrice" and random.random() < 0.1:
        return None
    if column.name == "PublicRemarks":
        return " ".join(random.sample(_SENTENCES, 3))
    return _typed(random, column)


def _typed(random: Random, column: Column) -> Value:
    if column.type in _SCALES:
        return random.randint(*_SCALES[column.type])
    if column.type == "Decimal":
        top = min(column.length - column.precision - 1, 7)
        degrees = column.precision > 4
        number = random.randint(-179, 179) if degrees else random.randrange(10**top)
        fraction = random.randrange(10**column.precision)
        return f"{number}.{fraction:0{column.precision}}"
    date = f"20{random.randint(10, 24)}-{random.randint(1, 12):02}-{random.randint(1, 28):02}"
    time = f"{random.randrange(24):02}:{random.randrange(60):02}:{random.randrange(60):02}"
    by_type: dict[str, Value] = {
        "Boolean": random.random() < 0.5,
        "Date": date,
        "Time": time,
        "DateTime": f"{date}T{time}Z",
    }
    return by_type.get(column.type, f"{column.name} {random.randrange(100)}")


def escaped(text: str) -> str:
    """A text as it stands in XML."""
    return escape(text, quote=False)
