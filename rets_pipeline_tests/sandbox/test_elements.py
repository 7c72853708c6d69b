"""Every element that is documented occurs somewhere.

The names are those of CREA's table of elements and of real answers, written down once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

import pytest
from lxml import etree

from rets_pipeline.sandbox import Sandbox, pages, running
from rets_pipeline_tests.sandbox.client import Client, records

TODAY = date(2026, 11, 21)


def below(path: str, names: Iterable[str] | str) -> set[str]:
    """Names under a path; a text holds names parted by blanks."""
    listed = names.split() if isinstance(names, str) else names
    return {f"{path}/{name}" for name in listed}


CONTACTS = {
    *below("Phones/Phone", "@ContactType @PhoneType"),
    *below("Websites/Website", "@ContactType @WebsiteType"),
}
# What a listing, or an agent, tells of an office's address.
SHORT_ADDRESS = below("Address", "StreetAddress AddressLine1 City Province PostalCode")
ADDRESS = SHORT_ADDRESS | below(
    "Address",
    """AddressLine2 StreetNumber StreetDirectionPrefix StreetName StreetSuffix StreetDirectionSuffix
    UnitNumber BoxNumber Country AdditionalStreetInfo CommunityName Neighbourhood Subdivision
    Latitude Longitude""",
)
OFFICE = {
    *below("Logo", "ThumbnailURL LastUpdated"),
    *("@ID", "@LastUpdated", "Name", "LogoLastUpdated"),
    *("OrganizationType", "Designation", "Franchisor"),
    *CONTACTS,
}
AGENT = {
    *("@ID", "@LastUpdated", "Name", "Position", "EducationCredentials"),
    *below("Photo", "LastUpdated ThumbnailURL LargePhotoURL"),
    *("Specialties/Specialty", "Designations/Designation", "Languages/Language"),
    "TradingAreas/TradingArea",
    *below("Office", OFFICE | SHORT_ADDRESS),
    *CONTACTS,
    *ADDRESS,
}
PROPERTY = {
    *("@ID", "@LastUpdated", "ListingID", "Board"),
    *("AmmenitiesNearBy", "CommunicationType", "CommunityFeatures", "Crop", "DocumentType"),
    *("EquipmentType", "Easement", "FarmType", "Features", "IrrigationType", "Lease"),
    *("LeasePerTime", "LeasePerUnit", "LeaseTermRemaining", "LeaseTermRemainingFreq", "LeaseType"),
    *("ListingContractDate", "LiveStockType", "LoadingType", "LocationDescription", "Machinery"),
    *("MaintenanceFee", "MaintenanceFeePaymentUnit", "MaintenanceFeeType", "ManagementCompany"),
    *("MunicipalID", "MunicipalId", "OwnershipType", "ParkingSpaceTotal", "Plan", "PoolType"),
    *("PoolFeatures", "Price", "PricePerTime", "PricePerUnit", "PropertyType", "PublicRemarks"),
    *("RentalEquipmentType", "RightType", "RoadType", "StorageType", "Structure", "SignType"),
    *("TransactionType", "TotalBuildings", "ViewType", "WaterFrontType", "WaterFrontName"),
    *("AdditionalInformationIndicator", "ZoningDescription", "ZoningType", "MoreInformationLink"),
    *("SocialMediaWebsite", "AnalyticsClick", "AnalyticsView"),
    *below("AlternateURL", "BrochureLink MapLink PhotoLink SoundLink VideoLink"),
    *below(
        "Business", "BusinessType BusinessSubType EstablishedDate Franchise Name OperatingSince"
    ),
    *below(
        "Building",
        """BathroomTotal BedroomsAboveGround BedroomsBelowGround BedroomsTotal Age Amenities
        Amperage Anchor Appliances ArchitecturalStyle BasementDevelopment BasementFeatures
        BasementType BomaRating CeilingHeight CeilingType ClearCeilingHeight ConstructedDate
        ConstructionMaterial ConstructionStatus ConstructionStyleAttachment ConstructionStyleOther
        ConstructionStyleSplitLevel CoolingType EnerguideRating ExteriorFinish FireProtection
        FireplaceFuel FireplacePresent FireplaceTotal FireplaceType Fixture FlooringType
        FoundationType HalfBathTotal HeatingFuel HeatingType LeedsCategory LeedsRating RenovatedDate
        RoofMaterial RoofStyle StoriesTotal SizeExterior SizeInterior SizeInteriorFinished
        StoreFront TotalFinishedArea Type Uffi UnitType UtilityPower UtilityWater VacancyRate""",
    ),
    *below("Building/Rooms/Room", "Type Width Level Length Description Dimension"),
    *below(
        "Land",
        """SizeTotal SizeTotalText SizeFrontage AccessType Acreage Amenities ClearedTotal CurrentUse
        Divisible FenceTotal FenceType FrontsOn LandDisposition LandscapeFeatures PastureTotal Sewer
        SizeDepth SizeIrregular SoilEvaluation SoilType SurfaceWater TiledTotal TopographyType""",
    ),
    *below("OpenHouse/Event", "StartDateTime EndDateTime Comments"),
    *below("LiveStream/Event", "StartDateTime EndDateTime Comments URL"),
    *below("ParkingSpaces/Parking", "Name Spaces"),
    *below(
        "Photo/PropertyPhoto",
        """SequenceID SequenceId Description LastUpdated PhotoLastUpdated ThumbnailURL PhotoURL
        LargePhotoURL""",
    ),
    *below("UtilitiesAvailable/Utility", "Type Description"),
    *below("AgentDetails", {*AGENT, "PhotoLastUpdated", "Office/Logo/LogoLastUpdated"}),
    *ADDRESS,
}
DOCUMENTED = {"Property": PROPERTY, "Agent": AGENT, "Office": OFFICE | ADDRESS}


def documented(resource: str) -> set[str]:
    """Every path, those of elements around others too."""
    parts = [path.split("/") for path in DOCUMENTED[resource]]
    return {"/".join(names[:count]) for names in parts for count in range(1, len(names) + 1)}


def paths(record: etree._Element, at: str = "") -> Iterator[str]:
    """Every path below a record where something stands: an empty element says nothing."""
    yield from (f"{at}@{name}" for name in record.attrib)
    for child in record:
        path = at + etree.QName(child).localname
        if child.text or len(child):
            yield path
        yield from paths(child, f"{path}/")


def test_every_documented_element_occurs() -> None:
    """In a world of the usual size, through the server's searches."""
    with running(today=TODAY) as sandbox:
        client = Client(sandbox)
        for resource in DOCUMENTED:
            kind = {"SearchType": resource, "Class": resource}
            keys = [r.get("ID") for r in records(client.search("(ID=*)", **kind), resource)]
            found: set[str] = set()
            for begin in range(0, len(keys), 100):
                query = f"(ID={','.join(keys[begin : begin + 100])})"
                for record in records(client.search(query, **kind), f"{resource}Details"):
                    found.update(paths(record))
            # Nothing is missing, and nothing was made up.
            assert found == documented(resource)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_so_it_is_with_other_seeds(seed: int) -> None:
    world = Sandbox(seed=seed, today=TODAY)
    for resource in DOCUMENTED:
        found = {
            path
            for page in pages(world, resource=resource)
            for record in etree.fromstring(page).iter(f"{{*}}{resource}Details")
            for path in paths(record)
        }
        assert found == documented(resource)


def test_pages_are_what_the_server_answers() -> None:
    with running(listings=230, today=TODAY) as sandbox:
        client = Client(sandbox)
        made = list(pages(sandbox.world, base_url=sandbox.url))
        keys = list(client.master_list())
        for number, page in enumerate(made):
            some = keys[100 * number : 100 * (number + 1)]
            assert client.search(f"(ID={','.join(some)})").content == page
        assert len(made) == 3
        some = list(pages(sandbox.world, 130, base_url=sandbox.url))
        assert some[0] == made[0]
        assert [page.count(b"<PropertyDetails ") for page in some] == [100, 30]
        assert list(pages(sandbox.world, 0)) == []
        assert sandbox.world.statistics.details_by_resource["Property"] == 230
