"""Every element and attribute that DDF documents, and records that hold all of them.

What belongs here: names and kinds, written down from the documentation, never from the mapping.
What does not: where anything goes.

``Name`` is a text; ``Name:kind`` another value; ``Name=Group`` an element with elements of its own;
``*`` occurs several times; ``@Name`` an attribute; ``.`` the element's own text.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from lxml import etree

GROUPS = {
    "PropertyDetails": """
        @ID:key @LastUpdated:moment ListingID Board Business=Business Building=Building Land=Land
        AgentDetails=AgentInListing* Address=Address AlternateURL=AlternateURL
        AmmenitiesNearBy:list CommunicationType:list CommunityFeatures:list Crop:list
        DocumentType:list EquipmentType:list Easement:list FarmType:list Features:list
        IrrigationType:list Lease:amount LeasePerTime LeasePerUnit LeaseTermRemaining
        LeaseTermRemainingFreq LeaseType:list ListingContractDate:day LiveStockType:list
        LoadingType:list LocationDescription Machinery:list MaintenanceFee:amount
        MaintenanceFeePaymentUnit MaintenanceFeeType:list ManagementCompany MunicipalID
        OpenHouse=OpenHouse LiveStream=OpenHouse OwnershipType ParkingSpaces=ParkingSpaces
        ParkingSpaceTotal:integer Photo=Photo Plan PoolType:list PoolFeatures:list Price:amount
        PricePerTime PricePerUnit PropertyType PublicRemarks RentalEquipmentType:list
        RightType:list RoadType:list StorageType:list Structure:list SignType:list TransactionType
        TotalBuildings:integer UtilitiesAvailable=UtilitiesAvailable ViewType:list
        WaterFrontType:list WaterFrontName AdditionalInformationIndicator ZoningDescription
        ZoningType MoreInformationLink SocialMediaWebsite AnalyticsClick AnalyticsView
        """,
    "Address": """
        StreetAddress AddressLine1 AddressLine2 StreetNumber StreetDirectionPrefix StreetName
        StreetSuffix StreetDirectionSuffix UnitNumber BoxNumber City Province PostalCode Country
        AdditionalStreetInfo CommunityName Neighbourhood Subdivision Latitude:degrees
        Longitude:degrees
        """,
    "AlternateURL": "BrochureLink MapLink PhotoLink SoundLink VideoLink",
    "Business": """
        BusinessType:list BusinessSubType:list EstablishedDate:year Franchise:boolean Name
        OperatingSince
        """,
    "Building": """
        BathroomTotal:integer BedroomsAboveGround:integer BedroomsBelowGround:integer
        BedroomsTotal:integer Age Amenities:list Amperage:list Anchor Appliances:list
        ArchitecturalStyle:list BasementDevelopment:list BasementFeatures:list BasementType:list
        BomaRating CeilingHeight:measure CeilingType:list ClearCeilingHeight:list
        ConstructedDate:year ConstructionMaterial:list ConstructionStatus
        ConstructionStyleAttachment ConstructionStyleOther ConstructionStyleSplitLevel
        CoolingType:list EnerguideRating ExteriorFinish:list FireProtection:list FireplaceFuel:list
        FireplacePresent:boolean FireplaceTotal:integer FireplaceType:list Fixture:list
        FlooringType:list FoundationType:list HalfBathTotal:integer HeatingFuel:list
        HeatingType:list LeedsCategory LeedsRating RenovatedDate:year RoofMaterial:list
        RoofStyle:list Rooms=Rooms StoriesTotal:stories SizeExterior:measure SizeInterior:measure
        SizeInteriorFinished:measure StoreFront:list TotalFinishedArea:measure Type:list Uffi
        UnitType UtilityPower:list UtilityWater:list VacancyRate
        """,
    "Rooms": "Room=Room*",
    "Room": "Type Width:measure Level Length:measure Description Dimension",
    "Land": """
        SizeTotal:measure SizeTotalText SizeFrontage:measure AccessType:list Acreage:boolean
        Amenities:list ClearedTotal:measure CurrentUse:list Divisible:boolean FenceTotal:measure
        FenceType:list FrontsOn LandDisposition:list LandscapeFeatures:list PastureTotal:measure
        Sewer:list SizeDepth:measure SizeIrregular SoilEvaluation SoilType:list SurfaceWater:list
        TiledTotal:measure TopographyType:list
        """,
    "OpenHouse": "Event=Event*",
    "Event": "StartDateTime:local EndDateTime:local Comments URL",
    "ParkingSpaces": "Parking=Parking*",
    "Parking": "Name Spaces:integer",
    "Photo": "PropertyPhoto=PropertyPhoto*",
    "PropertyPhoto": """
        SequenceID:integer Description LastUpdated PhotoLastUpdated:moment ThumbnailURL PhotoURL
        LargePhotoURL
        """,
    "UtilitiesAvailable": "Utility=Utility*",
    "Utility": "Type Description",
    "AgentInListing": """
        @LastUpdated Name @ID:key Position Websites=Websites Phones=Phones Office=OfficeInside
        EducationCredentials:list Photo=AgentPhoto PhotoLastUpdated:moment Address=PersonAddress
        Specialties=Specialties Designations=Designations Languages=Languages
        TradingAreas=TradingAreas
        """,
    "AgentDetails": """
        @LastUpdated:moment Name @ID:key Position Websites=Websites Phones=Phones
        Office=OfficeInside EducationCredentials:list Photo=AgentPhoto PhotoLastUpdated:moment
        Address=PersonAddress Specialties=Specialties Designations=Designations
        Languages=Languages TradingAreas=TradingAreas
        """,
    "PersonAddress": """
        StreetAddress AddressLine1 AddressLine2 StreetNumber StreetDirectionPrefix StreetName
        StreetSuffix StreetDirectionSuffix UnitNumber BoxNumber City Province PostalCode Country
        AdditionalStreetInfo CommunityName Neighbourhood Subdivision Latitude Longitude
        """,
    "AgentPhoto": "LastUpdated ThumbnailURL LargePhotoURL",
    "Phones": "Phone=Phone*",
    "Phone": "@ContactType @PhoneType .",
    "Websites": "Website=Website*",
    "Website": "@ContactType @WebsiteType .",
    "Specialties": "Specialty*",
    "Designations": "Designation*",
    "Languages": "Language*",
    "TradingAreas": "TradingArea*",
    "OfficeInside": """
        Name @ID:key @LastUpdated Logo=LogoInside LogoLastUpdated OrganizationType Designation
        Address=PersonAddress Phones=Phones Websites=Websites Franchisor
        """,
    "LogoInside": "ThumbnailURL LogoLastUpdated LastUpdated",
    "Logo": "ThumbnailURL LogoLastUpdated:moment LastUpdated:moment",
    "OfficeDetails": """
        Name @ID:key @LastUpdated:moment Logo=Logo LogoLastUpdated:moment OrganizationType
        Designation Address=PersonAddress Phones=Phones Websites=Websites Franchisor
        """,
}
RECORDS = ("PropertyDetails", "AgentDetails", "OfficeDetails")
_TIMES = 2  # how often an element is there that occurs several times


@dataclass(frozen=True)
class Part:
    """One word of :data:`GROUPS`."""

    name: str
    kind: str
    group: str | None
    repeated: bool


def parts(group: str) -> Iterator[Part]:
    """What a group holds."""
    for word in GROUPS[group].split():
        plain = word.removesuffix("*")
        name, _, inner = plain.partition("=")
        name, _, kind = name.partition(":")
        yield Part(name, kind or "text", inner or None, word.endswith("*"))


def paths(group: str, path: str) -> Iterator[tuple[str, str]]:
    """Every place of a record for a value, with its kind."""
    for part in parts(group):
        place = path if part.name == "." else f"{path}/{part.name}"
        if part.group is None:
            yield place, part.kind
        else:
            yield from paths(part.group, place)


@dataclass
class Maker:
    """Records in which every place holds a value that occurs nowhere else.

    Attributes:
        valid: each value fits its kind; otherwise all are words, but for keys.
        tokens: what must be found again: the values, and numbers inside them.
        typed: the paths whose kind is not a text, without the record's name.
    """

    valid: bool = True
    tokens: list[str] = field(default_factory=list)
    typed: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def record(self, name: str) -> etree._Element:
        """A whole record."""
        element = etree.Element(name)
        self._fill(element, name, "")
        return element

    def _fill(self, element: etree._Element, group: str, path: str) -> None:
        for part in parts(group):
            place = f"{path}/{part.name}".lstrip("/")
            for _ in range(_TIMES if part.repeated else 1):
                if part.group is not None:
                    self._fill(etree.SubElement(element, part.name), part.group, place)
                    continue
                text = self._value(part.kind, place)
                if part.name == ".":
                    element.text = text
                elif part.name.startswith("@"):
                    element.set(part.name[1:], text)
                else:
                    etree.SubElement(element, part.name).text = text

    def _value(self, kind: str, place: str) -> str:
        number = next(self._numbers)
        if kind not in ("text", "list", "key"):
            self.typed.add(place)
        text = _made(kind if self.valid or kind == "key" else "text", number)
        if kind != "boolean" or not self.valid:
            self.tokens += _tokens(kind if self.valid else "text", text)
        return text


def _made(kind: str, number: int) -> str:
    """A text of that kind. The numbers differ, and so do the texts."""
    moment = datetime(2021, 1, 1, tzinfo=UTC) + timedelta(hours=number, seconds=number)
    made = {
        "text": f"word{number:05}é",
        "list": f"first{number:05}, second{number:05}",
        "key": f"{70_000_000 + number}",
        "integer": f"{1_000_000 + number}",
        "amount": f"{2_000_000 + number}.25",
        "measure": f"{3_000_000 + number}.5 sqft",
        "degrees": f"{number % 90}.{number:05}1",
        "stories": f"{number}.75",
        "year": f"{1000 + number}",
        "boolean": "true",
        "day": f"{date(1950, 1, 1) + timedelta(days=number)}",
        "local": f"{moment:%d/%m/%Y %I:%M:%S %p}",
        "moment": f"{moment:%a, %d %b %Y %H:%M:%S GMT}",
    }
    return made[kind]


def _tokens(kind: str, text: str) -> list[str]:
    if kind == "list":
        return text.split(", ")
    if kind == "measure":
        return [text, text.split()[0]]
    return [text]


def leaves(value: object) -> Iterator[str]:
    """A cell of the database in the words that a payload would use."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, datetime):
        zoned = value.tzinfo is not None
        form = "%a, %d %b %Y %H:%M:%S GMT" if zoned else "%d/%m/%Y %I:%M:%S %p"
        yield f"{value:{form}}"
    elif isinstance(value, Decimal):
        yield f"{value.normalize():f}"
        yield f"{value:.2f}"
    elif value is not None:
        yield str(value)
