"""The many simple elements of a listing: which occur, how often, with what values.

What belongs here: elements whose content is one text, as DDF's table of elements lists them.
What does not: what ages (price, remarks, open houses, photos) and lists of things.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random

from rets_pipeline.sandbox import lookups

#: element name to text; "" is an empty element, None an absent one
Fields = Mapping[str, str | None]
#: element, lookup, share of listings that have it, largest number of values
_Table = tuple[tuple[str, str, float, int], ...]

_ROOT: _Table = (
    ("AmmenitiesNearBy", "AmenitiesNearby", 0.6, 4),
    ("CommunicationType", "CommunicationType", 0.03, 2),
    ("CommunityFeatures", "CommunityFeatures", 0.6, 3),
    ("Crop", "Crop", 0.03, 2),
    ("DocumentType", "DocumentType", 0.03, 2),
    ("EquipmentType", "EquipmentType", 0.1, 2),
    ("Easement", "Easement", 0.03, 2),
    ("FarmType", "FarmType", 0.03, 1),
    ("Features", "Features", 0.76, 5),
    ("IrrigationType", "IrrigationType", 0.03, 1),
    ("LiveStockType", "LiveStockType", 0.03, 2),
    ("LoadingType", "LoadingType", 0.03, 1),
    ("Machinery", "Machinery", 0.03, 2),
    ("MaintenanceFeeType", "MaintenanceFeeType", 0.15, 4),
    ("OwnershipType", "OwnershipType", 0.99, 1),
    ("PoolType", "PoolType", 0.15, 1),
    ("PoolFeatures", "PoolFeatures", 0.03, 2),
    ("RentalEquipmentType", "RentalEquipmentType", 0.1, 2),
    ("RightType", "RightType", 0.03, 1),
    ("RoadType", "RoadType", 0.03, 2),
    ("StorageType", "StorageType", 0.03, 2),
    ("Structure", "StructureType", 0.23, 3),
    ("SignType", "SignType", 0.03, 1),
    ("ViewType", "ViewType", 0.5, 2),
    ("WaterFrontType", "WaterFrontType", 0.07, 1),
    ("ZoningType", "ZoningType", 0.06, 1),
)
_BUILDING: _Table = (
    ("Amenities", "Amenities", 0.64, 3),
    ("Amperage", "Amperage", 0.03, 1),
    ("Appliances", "Appliances", 0.8, 6),
    ("ArchitecturalStyle", "ArchitecturalStyle", 0.47, 2),
    ("BasementFeatures", "BasementFeatures", 0.3, 2),
    ("CeilingType", "CeilingType", 0.03, 1),
    ("ClearCeilingHeight", "ClearCeilingHeight", 0.03, 1),
    ("ConstructionMaterial", "ConstructionMaterial", 0.1, 2),
    ("ConstructionStatus", "ConstructionStatus", 0.03, 1),
    ("ConstructionStyleAttachment", "ConstructionStyleAttachment", 0.35, 1),
    ("ConstructionStyleOther", "ConstructionStyleOther", 0.03, 1),
    ("ConstructionStyleSplitLevel", "ConstructionStyleSplitLevel", 0.03, 1),
    ("CoolingType", "CoolingType", 0.37, 2),
    ("ExteriorFinish", "ExteriorFinish", 0.1, 3),
    ("FireProtection", "FireProtection", 0.36, 2),
    ("Fixture", "Fixture", 0.3, 1),
    ("FlooringType", "FlooringType", 0.1, 4),
    ("FoundationType", "FoundationType", 0.1, 1),
    ("HeatingFuel", "HeatingFuel", 0.62, 2),
    ("HeatingType", "Heating Type", 0.87, 2),
    ("RoofMaterial", "RoofMaterial", 0.05, 1),
    ("RoofStyle", "RoofStyle", 0.05, 1),
    ("StoreFront", "StoreFront", 0.03, 1),
    ("Type", "BuildingType", 1.0, 1),
    ("Uffi", "UffiCodes", 0.03, 1),
    ("UtilityPower", "UtilityPower", 0.03, 1),
    ("UtilityWater", "UtilityWater", 0.1, 1),
)
_LAND: _Table = (
    ("AccessType", "AccessType", 0.05, 2),
    ("Amenities", "AmenitiesNearby", 0.6, 4),
    ("CurrentUse", "CurrentUse", 0.03, 2),
    ("FenceType", "FenceType", 0.03, 1),
    ("FrontsOn", "FrontsOn", 0.03, 1),
    ("LandDisposition", "LandDispositionType", 0.03, 2),
    ("LandscapeFeatures", "LandscapeFeatures", 0.3, 2),
    ("Sewer", "Sewer", 0.1, 1),
    ("SoilEvaluation", "SoilEvaluationType", 0.03, 1),
    ("SoilType", "SoilType", 0.05, 2),
    ("SurfaceWater", "SurfaceWater", 0.03, 2),
    ("TopographyType", "TopographyType", 0.03, 2),
)
#: element, texts, share: what CREA documents as text or a measure and rarely sends
_Rare = tuple[tuple[str, tuple[str, ...], float], ...]

_RARE_ROOT: _Rare = (
    ("AdditionalInformationIndicator", ("Yes", "N", "Feature sheet available"), 0.03),
    (
        "LocationDescription",
        ("North of Highway 7, past the mill", "À l'est du pont, près de l'église", "Unit 4 & 5"),
        0.04,
    ),
    ("ManagementCompany", ("Sandbox Property Management", "Gestion Érable & Cie"), 0.03),
    ("Plan", ("EPS1234", "LMS 4321", "VIP88765"), 0.03),
    ("PricePerTime", ("Monthly", "Yearly", "Seasonal"), 0.03),
    ("PricePerUnit", ("acres", "square feet", "hectares"), 0.03),
    ("SocialMediaWebsite", ("https://social.example.com/tour?a=1&b=2",), 0.03),
    ("TotalBuildings", ("3", "1", "12"), 0.03),
    ("WaterFrontName", ("Lac-à-l'Eau-Claire", "Okanagan Lake", "Fraser River"), 0.04),
    ("ZoningDescription", ("R-2 (low density)", "C1; shops & offices", "Résidentiel H2"), 0.05),
)
_RARE_BUILDING: _Rare = (
    ("Age", ("16 Years", "5 Years", "New", "0-5"), 0.03),
    ("Anchor", ("Grocery", "Pharmacie & café"), 0.03),
    ("BomaRating", ("BOMA Best", "BOMA BESt Silver"), 0.03),
    ("CeilingHeight", ("9 ft ,6 in", "12 ft", "3.05 m"), 0.03),
    ("EnerguideRating", ("78", "82", "A"), 0.03),
    ("LeedsCategory", ("Core and shell", "New construction"), 0.03),
    ("LeedsRating", ("Gold", "Platinum", "Certified"), 0.03),
    ("RenovatedDate", ("2015", "2019-06", "June 2021"), 0.03),
    ("SizeExterior", ("210.5 m2", "2265 sqft", "195 square meters"), 0.03),
    ("SizeInteriorFinished", ("165 m2", "1776 sqft", "1500.0000"), 0.03),
    ("TotalFinishedArea", ("1838 sqft", "171 m2", "2040.5000"), 0.04),
    ("UnitType", ("Corner", "End", "Penthouse"), 0.03),
    ("VacancyRate", ("4.5", "0", "12 %"), 0.03),
)
_RARE_LAND: _Rare = (
    ("ClearedTotal", ("12 acres", "4.86 hectares"), 0.03),
    ("PastureTotal", ("3 hec", "7.4 acres"), 0.03),
    ("SizeDepth", ("120 ft", "36.58 m", "115 ft ,9 in", "99.0000"), 0.1),
    ("TiledTotal", ("40 acres", "16 hectares"), 0.03),
)


def root_fields(random: Random, property_type: str, born: int) -> dict[str, str | None]:
    """Elements directly below PropertyDetails."""
    fee = random.random() < 0.64
    fields: dict[str, str | None] = {
        "ListingContractDate": None,
        "MaintenanceFee": f"{random.uniform(80, 1400):.2f}" if fee else None,
        "MaintenanceFeePaymentUnit": "Monthly" if fee else None,
        "MunicipalId": f"{random.randrange(10**9):09}" if random.random() < 0.96 else None,
        "ParkingSpaceTotal": str(random.randint(0, 6)) if random.random() < 0.93 else None,
    }
    if random.random() < 0.08:
        fields["ListingContractDate"] = datetime.fromtimestamp(born, UTC).date().isoformat()
    fields.update(_drawn(random, _ROOT))
    fields.update(_rare(random, _RARE_ROOT))
    if property_type == "Agriculture":
        fields["FarmType"] = lookups.some(random, "FarmType", 2)
    return fields


def building_fields(random: Random, property_type: str) -> dict[str, str | None]:
    """Elements below Building. That of vacant land is empty."""
    if property_type == "Vacant Land":
        return {}
    fields = _size_of_building(random)
    fields.update(_drawn(random, _BUILDING))
    fields.update(_rare(random, _RARE_BUILDING))
    fields.update(_basement(random))
    fields.update(_fireplaces(random))
    return fields


def land_fields(random: Random) -> dict[str, str | None]:
    """Elements below Land; units stand inside the text, or nowhere."""
    size = random.randint(2_000, 40_000)
    fields: dict[str, str | None] = {
        "SizeTotal": random.choice(
            (
                *("0", f"{size} sqft", f"{size} sqft", f"{size / 43_560:.2f} ac"),
                *(f"{size / 10.7639:.1f} m2", f"{size / 107_639:.3f} hec"),
            )
        ),
        "SizeTotalText": random.choice((f"{size} sqft", "78 x 95.5", "under 1/2 acre")),
        "SizeFrontage": random.choice(
            (None, "", "46 ft ,2 in", f"{random.randint(20, 90)} ft", "15.24 m")
        ),
        "Acreage": random.choice(("true", "false", "false", "false")),
        "Divisible": random.choice(("True", "False", "")) if random.random() < 0.04 else None,
        # DDF: empty wherever it was seen; what it is meant for is rare.
        "FenceTotal": random.choices(("", None, "240 ft"), weights=(42, 55, 3))[0],
        "SizeIrregular": random.choice((f"{size} sqft", "78 x 95.5", "irregular", "")),
    }
    fields.update(_drawn(random, _LAND))
    fields.update(_rare(random, _RARE_LAND))
    return fields


def business_fields(random: Random, property_type: str) -> dict[str, str | None]:
    """Elements below Business: nearly always nothing but an empty Franchise."""
    fields: dict[str, str | None] = {"Franchise": ""}
    if property_type in ("Business", "Retail", "Hospitality"):
        fields["BusinessType"] = lookups.some(random, "BusinessType", 2)
        fields["BusinessSubType"] = lookups.some(random, "BusinessSubType", 2)
        fields["EstablishedDate"] = str(random.randint(1950, 2020))
        fields["Name"] = random.choice(("Café de l'Érable & Fils", "Lakeside Hardware Ltd."))
        fields["OperatingSince"] = random.choice(("1987", "May 2009", "2015-04-01"))
        fields["Franchise"] = random.choice(("", "True", "False"))
    return fields


def link_fields(random: Random, key: int) -> dict[str, str | None]:
    """Elements below AlternateURL; all absent for half of the listings."""
    if random.random() < 0.52:
        return {}
    tour = f"https://tours.example.com/watch?v={key}&autoplay=1"
    return {
        "BrochureLink": f"https://files.example.com/{key}.pdf" if random.random() < 0.1 else None,
        "MapLink": f"https://maps.example.com/?id={key}" if random.random() < 0.07 else None,
        "PhotoLink": f"https://photos.example.com/{key}/" if random.random() < 0.07 else None,
        "SoundLink": f"https://sound.example.com/{key}" if random.random() < 0.07 else None,
        "VideoLink": tour,
    }


def _size_of_building(random: Random) -> dict[str, str | None]:
    bedrooms = random.randint(0, 7)
    split = random.random() < 0.2
    below = random.randint(0, bedrooms) if split else 0
    area = random.randint(400, 5_000)
    return {
        "BathroomTotal": str(random.randint(1, 6)),
        "BedroomsAboveGround": str(bedrooms - below) if split else None,
        "BedroomsBelowGround": str(below) if split else None,
        "BedroomsTotal": str(bedrooms),
        "ConstructedDate": str(random.randint(1890, 2026)) if random.random() < 0.97 else None,
        "HalfBathTotal": str(random.randint(1, 2)) if random.random() < 0.1 else None,
        "StoriesTotal": random.choice(("1", "1.5", "2", "3")) if random.random() < 0.2 else None,
        # Most say their unit, some do not.
        "SizeInterior": random.choice(
            (
                f"{area} sqft",
                f"{area} sqft",
                f"{area} sqft",
                f"{area}.0000",
                f"{area / 10.76:.1f} m2",
            )
        ),
    }


def _basement(random: Random) -> dict[str, str | None]:
    if random.random() < 0.6:
        return {}
    kind = lookups.one(random, "BasementType")
    if kind in ("None", "Unknown"):
        return {"BasementType": kind}
    development = lookups.one(random, "BasementDevelopment")
    # DDF: the server writes the development into the type as well.
    return {"BasementDevelopment": development, "BasementType": f"{kind} ({development})"}


def _fireplaces(random: Random) -> dict[str, str | None]:
    if random.random() < 0.03:
        return {}
    if random.random() < 0.6:
        return {"FireplacePresent": "False"}
    return {
        "FireplaceFuel": lookups.one(random, "FireplaceFuel") if random.random() < 0.3 else None,
        "FireplacePresent": "True",
        "FireplaceTotal": str(random.randint(1, 3)),
        "FireplaceType": lookups.some(random, "FireplaceType", 2)
        if random.random() < 0.2
        else None,
    }


def _drawn(random: Random, table: _Table) -> dict[str, str]:
    return {
        element: lookups.some(random, lookup, most)
        for element, lookup, share, most in table
        if random.random() < share
    }


def _rare(random: Random, table: _Rare) -> dict[str, str]:
    return {
        element: random.choice(texts) for element, texts, share in table if random.random() < share
    }
