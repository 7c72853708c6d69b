"""Where everything in a DDF record goes: one table of rules, as data.

What belongs here: source path → table and column → converter. What does not: how rules are
applied (``parse``), what a text means (``values``).

A path is relative to the element of its group: ``Address/City`` an element's text, ``@ID`` an
attribute, ``.`` the group's own text. Names are compared without regard to case and namespace.
Columns are RESO Data Dictionary 2.0 names in snake_case where RESO has the field, else DDF's name.
What no rule names goes to the column ``source_fields`` of the group's table, under its own name.
``kept`` lists what DDF documents and no column takes; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rets_pipeline.sources.ddf import values
from rets_pipeline.sources.ddf.values import Converter, lookup_values


@dataclass(frozen=True, slots=True)
class Rule:
    """One value of the payload.

    Attributes:
        path: where it stands.
        column: where it goes. With ``unit_column`` the number of a measure.
        convert: from text to value; None: the text itself.
        unit_column: where the unit of a measure goes; ``convert`` returns (number, unit).
        text_column: a column that gets the text as it came, whether it converts or not.
        keep_text: the text as it came goes to ``source_fields`` too, because the value never
            says all of it.
        repeated: the element occurs many times; the column gets the list of the texts.
        uncompared: the text goes to ``uncompared_fields`` of the record's own row under its path:
            it changes without meaning anything, so it must not stand where rows are compared.
        lookup: DDF's name of the lookup whose values ``convert`` splits.
    """

    path: str
    column: str
    convert: Converter | None = None
    unit_column: str | None = None
    text_column: str | None = None
    keep_text: bool = False
    repeated: bool = False
    uncompared: bool = False
    lookup: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """An element that becomes a row each time it occurs.

    Attributes:
        path: relative to the group around it; empty for the record itself.
        table: of its rows.
        rules: its values.
        groups: the groups inside it.
        kept: documented paths without a rule: ``source_fields`` keeps them.
        rest_table: whose ``source_fields`` and ``uncompared_fields`` take what ``table`` has no
            column for; None: its own.
    """

    path: str
    table: str
    rules: tuple[Rule, ...]
    groups: tuple[Group, ...] = ()
    kept: tuple[str, ...] = ()
    rest_table: str | None = None


def taught(group: Group, known: Mapping[str, tuple[str, ...]]) -> Group:
    """The group with other knowledge of which lookup values hold commas.

    Args:
        group: with the groups inside it.
        known: values by DDF's name of the lookup (``values.values_with_commas``).
    """
    rules = (
        rule if rule.lookup is None else replace(rule, convert=lookup_values(rule.lookup, known))
        for rule in group.rules
    )
    inner = (taught(inside, known) for inside in group.groups)
    return replace(group, rules=tuple(rules), groups=tuple(inner))


def _values(path: str, column: str, lookup: str) -> Rule:
    """A lookup with several values in one text."""
    return Rule(path, column, lookup_values(lookup), lookup=lookup)


def _measure(path: str, column: str, unit_column: str) -> Rule:
    return Rule(path, column, values.measure, unit_column=unit_column, keep_text=True)


def _uncompared(path: str) -> Rule:
    return Rule(path, "uncompared_fields", uncompared=True)


#: What agents' and offices' addresses could hold beside their columns: DDF documents one shape of
#: address for all, and sends the first six elements of it.
_ADDRESS_REST = tuple(
    f"Address/{name}"
    for name in (
        "StreetNumber", "StreetDirectionPrefix", "StreetName", "StreetSuffix",
        "StreetDirectionSuffix", "UnitNumber", "BoxNumber", "AdditionalStreetInfo",
        "CommunityName", "Neighbourhood", "Subdivision", "Latitude", "Longitude",
    )
)  # fmt: skip

PHONE = Group(
    "Phones/Phone",
    "other_phone",
    (
        Rule(".", "other_phone_number"),
        Rule("@PhoneType", "other_phone_type"),
        Rule("@ContactType", "contact_type"),
    ),
)

WEBSITE = Group(
    "Websites/Website",
    "social_media",
    (
        Rule(".", "social_media_url_or_id"),
        Rule("@WebsiteType", "social_media_type"),
        Rule("@ContactType", "contact_type"),
    ),
)

OFFICE_RULES = (
    Rule("@ID", "office_key"),
    Rule("Name", "office_name"),
    Rule("OrganizationType", "office_type"),
    Rule("Franchisor", "franchise_affiliation"),
    Rule("Designation", "designation"),
    Rule("Address/StreetAddress", "street_address"),
    Rule("Address/AddressLine1", "office_address1"),
    Rule("Address/AddressLine2", "office_address2"),
    Rule("Address/City", "office_city"),
    Rule("Address/Province", "office_state_or_province"),
    Rule("Address/PostalCode", "office_postal_code"),
    Rule("Address/Country", "office_country"),
    Rule("Logo/ThumbnailURL", "logo_url"),
)

MEMBER_RULES = (
    Rule("@ID", "member_key"),
    Rule("Name", "member_full_name"),
    Rule("Position", "job_title"),
    Rule("Designations/Designation", "member_designation", repeated=True),
    Rule("Languages/Language", "member_languages", repeated=True),
    Rule("Specialties/Specialty", "specialties", repeated=True),
    Rule("TradingAreas/TradingArea", "trading_areas", repeated=True),
    _values("EducationCredentials", "education_credentials", "EducationCredentials"),
    Rule("Address/StreetAddress", "street_address"),
    Rule("Address/AddressLine1", "member_address1"),
    Rule("Address/AddressLine2", "member_address2"),
    Rule("Address/City", "member_city"),
    Rule("Address/Province", "member_state_or_province"),
    Rule("Address/PostalCode", "member_postal_code"),
    Rule("Address/Country", "member_country"),
    Rule("PhotoLastUpdated", "photo_last_updated", values.utc_timestamp),
    Rule("Photo/ThumbnailURL", "photo_thumbnail_url"),
    Rule("Photo/LargePhotoURL", "photo_url"),
    Rule("Photo/LastUpdated", "photo_unreliable_last_updated"),
)

#: Where dates stand that follow an office's own LastUpdated; the first that can be read counts.
LOGO_MOMENTS = ("Logo/LogoLastUpdated", "Logo/LastUpdated")

#: An office inside a listing. Its dates follow the listing's: they say nothing about the office.
OFFICE_IN_LISTING = Group(
    "Office",
    "office",
    (
        *OFFICE_RULES,
        _uncompared("@LastUpdated"),
        _uncompared("LogoLastUpdated"),
        *map(_uncompared, LOGO_MOMENTS),
    ),
    (PHONE, WEBSITE),
    kept=_ADDRESS_REST,
    rest_table="property_member",
)

#: An office in the answer to its own search.
OFFICE = Group(
    "",
    "office",
    (
        *OFFICE_RULES,
        Rule("@LastUpdated", "modification_timestamp", values.utc_timestamp),
        Rule("LogoLastUpdated", "logo_last_updated", values.utc_timestamp),
        *map(_uncompared, LOGO_MOMENTS),
    ),
    (PHONE, WEBSITE),
    kept=_ADDRESS_REST,
)

#: An agent in the answer to its own search. Its office is named there and described elsewhere.
AGENT = Group(
    "",
    "member",
    (
        *MEMBER_RULES,
        Rule("@LastUpdated", "modification_timestamp", values.utc_timestamp),
        Rule("Office/@ID", "office_key"),
        _uncompared("Office/@LastUpdated"),
        _uncompared("Office/LogoLastUpdated"),
        *(_uncompared(f"Office/{path}") for path in LOGO_MOMENTS),
    ),
    (PHONE, WEBSITE),
    kept=(
        *_ADDRESS_REST,
        *(f"Office/{rule.path}" for rule in OFFICE_RULES if rule.path != "@ID"),
        *(f"Office/{path}" for path in _ADDRESS_REST),
        *(
            f"Office/{group.path}{'' if rule.path == '.' else '/' + rule.path}"
            for group in (PHONE, WEBSITE)
            for rule in group.rules
        ),
    ),
)

#: An agent inside a listing. What no column takes goes to ``property_member``, which is the
#: listing's own: the member's row may come from elsewhere.
AGENT_IN_LISTING = Group(
    "AgentDetails",
    "member",
    MEMBER_RULES,
    (OFFICE_IN_LISTING, PHONE, WEBSITE),
    kept=("@LastUpdated", *_ADDRESS_REST),
    rest_table="property_member",
)

ROOM = Group(
    "Building/Rooms/Room",
    "property_rooms",
    (
        Rule("Type", "room_type"),
        Rule("Level", "room_level"),
        _measure("Length", "room_length", "room_length_width_units"),
        _measure("Width", "room_width", "room_length_width_units"),
        Rule("Dimension", "room_dimensions"),
        Rule("Description", "room_description"),
    ),
)

#: ``change_token`` gets PhotoLastUpdated's text first, and the number in the address if it has one.
PHOTO = Group(
    "Photo/PropertyPhoto",
    "media",
    (
        Rule("SequenceID", "order", values.integer),
        Rule("Description", "long_description"),
        Rule(
            "PhotoLastUpdated",
            "media_modification_timestamp",
            values.utc_timestamp,
            text_column="change_token",
        ),
        Rule("LastUpdated", "unreliable_last_updated"),
        Rule("LargePhotoURL", "media_url"),
        Rule("PhotoURL", "medium_url"),
        Rule("ThumbnailURL", "thumbnail_url"),
    ),
)

_EVENT_RULES = (
    Rule("StartDateTime", "open_house_start_local", values.event_time),
    Rule("EndDateTime", "open_house_end_local", values.event_time),
    Rule("Comments", "open_house_remarks"),
    Rule("URL", "livestream_open_house_url"),
)
OPEN_HOUSE = Group("OpenHouse/Event", "open_house", _EVENT_RULES)
LIVE_STREAM = Group("LiveStream/Event", "open_house", _EVENT_RULES)

#: These two become one JSON column of the property each, in the payload's order.
PARKING = Group(
    "ParkingSpaces/Parking",
    "property.parking_spaces",
    (Rule("Name", "name"), Rule("Spaces", "spaces", values.integer)),
)
UTILITY = Group(
    "UtilitiesAvailable/Utility",
    "property.utilities_available",
    (Rule("Type", "type"), Rule("Description", "description")),
)

_ADDRESS_RULES = (
    Rule("Address/StreetAddress", "street_address"),
    Rule("Address/AddressLine1", "address_line1"),
    Rule("Address/AddressLine2", "address_line2"),
    Rule("Address/StreetNumber", "street_number"),
    Rule("Address/StreetDirectionPrefix", "street_dir_prefix"),
    Rule("Address/StreetName", "street_name"),
    Rule("Address/StreetSuffix", "street_suffix"),
    Rule("Address/StreetDirectionSuffix", "street_dir_suffix"),
    Rule("Address/AdditionalStreetInfo", "street_additional_info"),
    Rule("Address/UnitNumber", "unit_number"),
    Rule("Address/BoxNumber", "box_number"),
    Rule("Address/City", "city"),
    Rule("Address/Province", "state_or_province"),
    Rule("Address/PostalCode", "postal_code"),
    Rule("Address/Country", "country"),
    Rule("Address/Neighbourhood", "city_region"),
    Rule("Address/CommunityName", "community_name"),
    Rule("Address/Subdivision", "subdivision_name"),
    Rule("Address/Latitude", "latitude", values.coordinate),
    Rule("Address/Longitude", "longitude", values.coordinate),
)

_BUILDING_RULES = (
    _values("Building/Type", "structure_type", "BuildingType"),
    _values("Building/ArchitecturalStyle", "architectural_style", "ArchitecturalStyle"),
    Rule("Building/ConstructionStatus", "construction_status"),
    Rule("Building/ConstructionStyleAttachment", "construction_style_attachment"),
    Rule("Building/ConstructionStyleOther", "construction_style_other"),
    Rule("Building/ConstructionStyleSplitLevel", "construction_style_split_level"),
    _values("Building/ConstructionMaterial", "construction_materials", "ConstructionMaterial"),
    _values("Building/ExteriorFinish", "exterior_finish", "ExteriorFinish"),
    Rule("Building/BedroomsTotal", "bedrooms_total", values.integer),
    Rule("Building/BedroomsAboveGround", "bedrooms_above_grade", values.integer),
    Rule("Building/BedroomsBelowGround", "bedrooms_below_grade", values.integer),
    Rule("Building/BathroomTotal", "bathrooms_total_integer", values.integer),
    Rule("Building/HalfBathTotal", "bathrooms_partial", values.integer),
    Rule("Building/StoriesTotal", "stories", values.stories),
    Rule("Building/ConstructedDate", "year_built", values.year),
    Rule(
        "Building/RenovatedDate",
        "year_built_effective",
        values.year,
        text_column="renovated_date",
    ),
    Rule("Building/Age", "age"),
    Rule("Building/UnitType", "unit_type"),
    _measure("Building/SizeExterior", "size_exterior", "size_exterior_units"),
    _measure("Building/SizeInterior", "living_area", "living_area_units"),
    _measure(
        "Building/SizeInteriorFinished", "size_interior_finished", "size_interior_finished_units"
    ),
    _measure("Building/TotalFinishedArea", "total_finished_area", "total_finished_area_units"),
    Rule("Building/BasementType", "basement", values.basement_types),
    _values("Building/BasementDevelopment", "basement_development", "BasementDevelopment"),
    _values("Building/BasementFeatures", "basement_features", "BasementFeatures"),
    _values("Building/Appliances", "appliances", "Appliances"),
    _values("Building/Amenities", "building_features", "Amenities"),
    _values("Building/HeatingType", "heating", "Heating Type"),
    _values("Building/HeatingFuel", "heating_fuel", "HeatingFuel"),
    _values("Building/CoolingType", "cooling", "CoolingType"),
    Rule("Building/FireplacePresent", "fireplace_yn", values.boolean),
    Rule("Building/FireplaceTotal", "fireplaces_total", values.integer),
    _values("Building/FireplaceType", "fireplace_features", "FireplaceType"),
    _values("Building/FireplaceFuel", "fireplace_fuel", "FireplaceFuel"),
    _values("Building/Fixture", "fixture", "Fixture"),
    _values("Building/FlooringType", "flooring", "FlooringType"),
    _values("Building/FoundationType", "foundation_details", "FoundationType"),
    _values("Building/RoofMaterial", "roof", "RoofMaterial"),
    _values("Building/RoofStyle", "roof_style", "RoofStyle"),
    _values("Building/FireProtection", "security_features", "FireProtection"),
    _values("Building/UtilityPower", "electric", "UtilityPower"),
    _values("Building/UtilityWater", "water_source", "UtilityWater"),
    _values("Building/Amperage", "amperage", "Amperage"),
    _measure("Building/CeilingHeight", "ceiling_height", "ceiling_height_units"),
    _values("Building/CeilingType", "ceiling_type", "CeilingType"),
    _values("Building/ClearCeilingHeight", "clear_ceiling_height", "ClearCeilingHeight"),
    _values("Building/StoreFront", "store_front", "StoreFront"),
    Rule("Building/Anchor", "anchors_co_tenants"),
    Rule("Building/VacancyRate", "vacancy_rate"),
    Rule("Building/BomaRating", "boma_rating"),
    Rule("Building/EnerguideRating", "energuide_rating"),
    Rule("Building/LeedsCategory", "leeds_category"),
    Rule("Building/LeedsRating", "leeds_rating"),
    Rule("Building/Uffi", "uffi"),
)

_LAND_RULES = (
    _measure("Land/SizeTotal", "lot_size_area", "lot_size_units"),
    Rule("Land/SizeTotalText", "lot_size_dimensions"),
    Rule("Land/SizeIrregular", "lot_size_irregular"),
    Rule(
        "Land/SizeFrontage",
        "frontage_length_numeric",
        values.measure,
        unit_column="frontage_length_numeric_units",
        text_column="frontage_length",
    ),
    _measure("Land/SizeDepth", "size_depth", "size_depth_units"),
    Rule("Land/Acreage", "acreage", values.boolean),
    Rule("Land/Divisible", "divisible", values.boolean),
    _measure("Land/ClearedTotal", "cleared_total", "cleared_total_units"),
    _measure("Land/PastureTotal", "pasture_area", "farm_land_area_units"),
    _measure("Land/TiledTotal", "tiled_total", "tiled_total_units"),
    _measure("Land/FenceTotal", "fence_total", "fence_total_units"),
    _values("Land/FenceType", "fencing", "FenceType"),
    _values("Land/Sewer", "sewer", "Sewer"),
    _values("Land/AccessType", "access_type", "AccessType"),
    _values("Land/CurrentUse", "current_use", "CurrentUse"),
    _values("Land/LandscapeFeatures", "landscape_features", "LandscapeFeatures"),
    _values("Land/Amenities", "land_amenities", "AmenitiesNearby"),
    _values("Land/TopographyType", "topography", "TopographyType"),
    Rule("Land/FrontsOn", "fronts_on"),
    _values("Land/LandDisposition", "land_disposition", "LandDispositionType"),
    Rule("Land/SoilEvaluation", "soil_evaluation"),
    _values("Land/SoilType", "soil_type", "SoilType"),
    _values("Land/SurfaceWater", "surface_water", "SurfaceWater"),
)

_OTHER_RULES = (
    Rule("@ID", "listing_key"),
    Rule("@LastUpdated", "modification_timestamp", values.utc_timestamp),
    Rule("ListingID", "listing_id"),
    Rule("Board", "list_aor_key"),
    Rule("PropertyType", "property_sub_type"),
    Rule("TransactionType", "transaction_type"),
    Rule("ListingContractDate", "listing_contract_date", values.iso_date),
    Rule("MoreInformationLink", "listing_url"),
    Rule("Price", "list_price", values.money),
    Rule("PricePerTime", "price_per_time"),
    Rule("PricePerUnit", "price_per_unit"),
    Rule("Lease", "lease_amount", values.money),
    Rule("LeasePerTime", "lease_amount_frequency"),
    Rule("LeasePerUnit", "lease_per_unit"),
    _values("LeaseType", "existing_lease_type", "LeaseType"),
    Rule("LeaseTermRemaining", "lease_term_remaining"),
    Rule("LeaseTermRemainingFreq", "lease_term_remaining_freq"),
    Rule("MaintenanceFee", "association_fee", values.money),
    Rule("MaintenanceFeePaymentUnit", "association_fee_frequency"),
    _values("MaintenanceFeeType", "association_fee_includes", "MaintenanceFeeType"),
    Rule("ManagementCompany", "association_name"),
    Rule("OwnershipType", "ownership"),
    Rule("PublicRemarks", "public_remarks"),
    Rule("LocationDescription", "location_description"),
    Rule("AdditionalInformationIndicator", "additional_information_indicator"),
    _values("AmmenitiesNearBy", "amenities_near_by", "AmenitiesNearby"),
    _values("CommunityFeatures", "community_features", "CommunityFeatures"),
    _values("Features", "features", "Features"),
    _values("PoolFeatures", "pool_features", "PoolFeatures"),
    _values("PoolType", "pool_type", "PoolType"),
    _values("ViewType", "view", "ViewType"),
    _values("WaterFrontType", "waterfront_features", "WaterFrontType"),
    Rule("WaterFrontName", "water_body_name"),
    _values("Structure", "other_structures", "StructureType"),
    _values("EquipmentType", "other_equipment", "EquipmentType"),
    _values("RentalEquipmentType", "rental_equipment_type", "RentalEquipmentType"),
    _values("StorageType", "storage_type", "StorageType"),
    _values("RoadType", "road_surface_type", "RoadType"),
    _values("IrrigationType", "irrigation_source", "IrrigationType"),
    _values("DocumentType", "documents_available", "DocumentType"),
    _values("CommunicationType", "communication_type", "CommunicationType"),
    _values("Crop", "crop", "Crop"),
    _values("Easement", "easement", "Easement"),
    _values("FarmType", "farm_type", "FarmType"),
    _values("LiveStockType", "live_stock_type", "LiveStockType"),
    _values("LoadingType", "loading_type", "LoadingType"),
    _values("Machinery", "machinery", "Machinery"),
    _values("RightType", "right_type", "RightType"),
    _values("SignType", "sign_type", "SignType"),
    Rule("ParkingSpaceTotal", "parking_total", values.integer),
    Rule("ZoningType", "zoning"),
    Rule("ZoningDescription", "zoning_description"),
    Rule("MunicipalID", "municipal_id"),
    Rule("Plan", "plan"),
    Rule("TotalBuildings", "number_of_buildings", values.integer),
    _values("Business/BusinessType", "business_type", "BusinessType"),
    _values("Business/BusinessSubType", "business_sub_type", "BusinessSubType"),
    Rule("Business/Name", "business_name"),
    Rule("Business/Franchise", "franchise", values.boolean),
    Rule(
        "Business/EstablishedDate",
        "year_established",
        values.year,
        text_column="established_date",
    ),
    Rule("Business/OperatingSince", "operating_since"),
    Rule("AlternateURL/BrochureLink", "brochure_link"),
    Rule("AlternateURL/MapLink", "map_url"),
    Rule("AlternateURL/PhotoLink", "photo_link"),
    Rule("AlternateURL/SoundLink", "sound_link"),
    Rule("AlternateURL/VideoLink", "video_link"),
    Rule("SocialMediaWebsite", "social_media_website"),
)

PROPERTY = Group(
    "",
    "property",
    (*_OTHER_RULES, *_ADDRESS_RULES, *_BUILDING_RULES, *_LAND_RULES),
    (AGENT_IN_LISTING, ROOM, PHOTO, OPEN_HOUSE, LIVE_STREAM, PARKING, UTILITY),
    # scripts of a service that ended
    kept=("AnalyticsClick", "AnalyticsView"),
)

#: Everything that DDF offers is for sale or rent now; what is not is gone from the master list.
STANDARD_STATUS = "Active"

#: DDF's PropertyType → RESO's PropertyType when for sale, and when only for rent or lease.
#: What has no counterpart (Parking, Other) stays NULL; DDF's own word is PropertySubType, as in
#: the DDF Web API.
PROPERTY_TYPES: Mapping[str, tuple[str, str]] = {
    "Single Family": ("Residential", "Residential Lease"),
    "Recreational": ("Residential", "Residential Lease"),
    "Multi-family": ("Residential Income", "Residential Lease"),
    "Agriculture": ("Farm", "Farm"),
    "Vacant Land": ("Land", "Land"),
    "Business": ("Business Opportunity", "Business Opportunity"),
    "Office": ("Commercial Sale", "Commercial Lease"),
    "Retail": ("Commercial Sale", "Commercial Lease"),
    "Industrial": ("Commercial Sale", "Commercial Lease"),
    "Hospitality": ("Commercial Sale", "Commercial Lease"),
    "Institutional - Special Purpose": ("Commercial Sale", "Commercial Lease"),
}
LEASE_TRANSACTIONS = frozenset({"For rent", "For lease"})

#: The kinds of record, by the name of their root element.
RECORDS: Mapping[str, Group] = {
    "PropertyDetails": PROPERTY,
    "AgentDetails": AGENT,
    "OfficeDetails": OFFICE,
}

_CONTACT_KEYS: Mapping[str, str] = {
    "resource_name": "Member or Office",
    "resource_record_key": "@ID of the agent or the office around it",
    "order": "place among the elements of its name, from 1",
}

#: Columns that follow from other values: table → column → from what.
DERIVED: Mapping[str, Mapping[str, str]] = {
    "property": {
        "standard_status": f"always {STANDARD_STATUS}: what is not is gone from the master list",
        "property_type": "PropertyType and TransactionType",
        "list_price": "Lease, when there is no Price",
        "unparsed_address": "Address: street, city, province and postal code in one line",
        "property_time_zone_name": "Address/Province, Address/Latitude and Address/Longitude",
        "basement_development": "the brackets in Building/BasementType, when there is no"
        " Building/BasementDevelopment",
        "lot_size_acres": "Land/SizeTotal, when its unit is known",
        "lot_size_square_feet": "Land/SizeTotal, when its unit is known",
        "photos_count": "the number of Photo/PropertyPhoto",
        "photos_change_timestamp": "the latest Photo/PropertyPhoto/PhotoLastUpdated",
        "parking_features": "each ParkingSpaces/Parking/Name",
        "parking_spaces": "each ParkingSpaces/Parking, with all it holds",
        "utilities": "each UtilitiesAvailable/Utility/Type",
        "utilities_available": "each UtilitiesAvailable/Utility, with all it holds",
        "list_agent_key": "@ID of the first AgentDetails",
        "list_office_key": "@ID of the first agent's Office",
        "co_list_agent_key": "@ID of the second AgentDetails",
        "co_list_office_key": "@ID of the second agent's Office",
    },
    "property_rooms": {
        "listing_key": "@ID of the listing",
        "room_key": "@ID of the listing and the room's place",
    },
    "media": {
        "media_key": "@ID of the listing and SequenceID",
        "listing_key": "@ID of the listing",
        "resource_name": "always Property",
        "resource_record_key": "@ID of the listing",
        "resource_record_id": "ListingID",
        "media_category": "always Photo",
        "preferred_photo_yn": "true for the SequenceID 1",
        "change_token": "the number behind TS in the photo's address; without one PhotoLastUpdated,"
        " or else LastUpdated",
    },
    "open_house": {
        "listing_key": "@ID of the listing",
        "open_house_key": "@ID of the listing and the event's place",
        "open_house_type": "Public in OpenHouse, Livestream Public in LiveStream",
        "open_house_date": "StartDateTime",
        "open_house_start_time": "StartDateTime in the listing's time zone",
        "open_house_end_time": "EndDateTime in the listing's time zone",
    },
    "property_member": {
        "listing_key": "@ID of the listing",
        "order": "the place of AgentDetails, from 1",
        "member_key": "AgentDetails/@ID",
        "office_key": "AgentDetails/Office/@ID",
        "role": "ListAgent for the first AgentDetails, else CoListAgent",
    },
    "member": {
        "office_key": "@ID of the agent's Office",
        "photo_change_token": "the number behind TS in the photo's address; without one"
        " PhotoLastUpdated",
        "modification_timestamp": "nothing inside a listing",
        "observed_in": "Property or Member: the search that told of it",
    },
    "office": {
        "logo_change_token": "Logo/ThumbnailURL without the number behind TS, and"
        " logo_last_updated",
        "logo_last_updated": "Logo/LogoLastUpdated or Logo/LastUpdated, when there is no"
        " LogoLastUpdated; nothing inside a listing",
        "modification_timestamp": "nothing inside a listing",
        "observed_in": "Property or Office: the search that told of it",
    },
    "other_phone": _CONTACT_KEYS,
    "social_media": _CONTACT_KEYS,
}
