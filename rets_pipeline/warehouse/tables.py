"""The mirrored data: tables named after RESO Data Dictionary 2.0 resources and fields.

What belongs here: tables, their indexes, and which of them are replaced with a listing. What does
not: ledgers (``ledgers``), statements that write, and what a server's words mean (``sources``).

Every column's comment begins with the RESO StandardName; a column without one names the source's
path (``DDF: Building/Age``), ``DDF Web API:`` the name that CREA's own dictionary adds to RESO's,
or ``rets_pipeline:`` when it is ours. What follows a semicolon is explanation.

Measures are a number and a unit, with the raw text in ``source_fields``, or in a column of its own
where RESO has one. ``source_fields`` holds, nested and under the source's own names, everything
that no column took, and the raw text of what did not convert without loss.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from rets_pipeline.warehouse.types import UtcTimestamp, json_type, metadata


def _text(name: str, comment: str, *, nullable: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable, comment=comment)


def _list(name: str, comment: str) -> sa.Column[Any]:
    return sa.Column(name, json_type(), comment=comment)


def _integer(name: str, comment: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, comment=comment)


def _money(name: str, comment: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Numeric(14, 2), comment=comment)


def _measure(name: str, comment: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Numeric(14, 4), comment=comment)


def _coordinate(name: str, comment: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Numeric(13, 8), comment=comment)


def _moment(name: str, comment: str) -> sa.Column[Any]:
    return sa.Column(name, UtcTimestamp, comment=comment)


def _local(name: str, comment: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime, comment=comment)


def _date(name: str, comment: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Date, comment=comment)


def _boolean(name: str, comment: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, comment=comment)


def _key(name: str, comment: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=True, comment=comment)


def _order(name: str, comment: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=False, comment=comment)


def _feed() -> sa.Column[str]:
    return _key("feed", "rets_pipeline: the feed's name in feeds.yaml")


def _source_fields(name: str = "source_fields") -> sa.Column[Any]:
    return sa.Column(
        name, json_type(), comment="rets_pipeline: what no column took, under the source's names"
    )


property_ = sa.Table(
    "property",
    metadata,
    _feed(),
    _key("listing_key", "ListingKey"),
    # identity and state
    _text("listing_id", "ListingId; the board's number, not unique across boards"),
    _text("list_aor_key", "DDF Web API: ListAORKey; id of the board"),
    _text("standard_status", "StandardStatus"),
    _text("property_type", "PropertyType; follows from property_sub_type and transaction_type"),
    _text("property_sub_type", "PropertySubType"),
    _text("transaction_type", "DDF: TransactionType"),
    _moment("modification_timestamp", "ModificationTimestamp"),
    _date("listing_contract_date", "ListingContractDate"),
    _text("listing_url", "ListingURL"),
    # money
    _money("list_price", "ListPrice; the lease price when there is no sale price"),
    _text("price_per_time", "DDF: PricePerTime"),
    _text("price_per_unit", "DDF Web API: PricePerUnit"),
    _money("lease_amount", "LeaseAmount"),
    _text("lease_amount_frequency", "LeaseAmountFrequency"),
    _text("lease_per_unit", "DDF Web API: LeasePerUnit"),
    _list("existing_lease_type", "ExistingLeaseType"),
    _text("lease_term_remaining", "DDF: LeaseTermRemaining"),
    _text("lease_term_remaining_freq", "DDF: LeaseTermRemainingFreq"),
    _money("association_fee", "AssociationFee"),
    _text("association_fee_frequency", "AssociationFeeFrequency"),
    _list("association_fee_includes", "AssociationFeeIncludes"),
    _text("association_name", "AssociationName"),
    _text("ownership", "Ownership"),
    # words
    _text("public_remarks", "PublicRemarks"),
    _text("location_description", "DDF: LocationDescription"),
    _text("additional_information_indicator", "DDF: AdditionalInformationIndicator"),
    # address
    _text("unparsed_address", "UnparsedAddress; street, city, province, postal code in one line"),
    _text("street_address", "DDF: Address/StreetAddress"),
    _text("address_line1", "DDF: Address/AddressLine1"),
    _text("address_line2", "DDF: Address/AddressLine2"),
    _text("street_number", "StreetNumber"),
    _text("street_dir_prefix", "StreetDirPrefix"),
    _text("street_name", "StreetName"),
    _text("street_suffix", "StreetSuffix"),
    _text("street_dir_suffix", "StreetDirSuffix"),
    _text("street_additional_info", "StreetAdditionalInfo"),
    _text("unit_number", "UnitNumber"),
    _text("box_number", "DDF: Address/BoxNumber"),
    _text("city", "City"),
    _text("state_or_province", "StateOrProvince"),
    _text("postal_code", "PostalCode"),
    _text("country", "Country"),
    _text("city_region", "CityRegion"),
    _text("community_name", "DDF: Address/CommunityName"),
    _text("subdivision_name", "SubdivisionName"),
    _coordinate("latitude", "Latitude"),
    _coordinate("longitude", "Longitude"),
    _text("property_time_zone_name", "PropertyTimeZoneName; from province and coordinates"),
    # building
    _list("structure_type", "StructureType"),
    _list("architectural_style", "ArchitecturalStyle"),
    _text("construction_status", "DDF: Building/ConstructionStatus"),
    _text("construction_style_attachment", "DDF: Building/ConstructionStyleAttachment"),
    _text("construction_style_other", "DDF: Building/ConstructionStyleOther"),
    _text("construction_style_split_level", "DDF: Building/ConstructionStyleSplitLevel"),
    _list("construction_materials", "ConstructionMaterials"),
    _list("exterior_finish", "DDF: Building/ExteriorFinish"),
    _integer("bedrooms_total", "BedroomsTotal"),
    _integer("bedrooms_above_grade", "DDF Web API: BedroomsAboveGrade"),
    _integer("bedrooms_below_grade", "DDF Web API: BedroomsBelowGrade"),
    _integer("bathrooms_total_integer", "BathroomsTotalInteger"),
    _integer("bathrooms_partial", "BathroomsPartial"),
    sa.Column("stories", sa.Numeric(6, 2), comment="Stories"),
    _integer("year_built", "YearBuilt"),
    _integer("year_built_effective", "YearBuiltEffective; the year in renovated_date"),
    _text("renovated_date", "DDF: Building/RenovatedDate"),
    _text("age", "DDF: Building/Age"),
    _text("unit_type", "DDF: Building/UnitType"),
    _measure("size_exterior", "DDF: Building/SizeExterior"),
    _text("size_exterior_units", "DDF: Building/SizeExterior; its unit"),
    _measure("living_area", "LivingArea"),
    _text("living_area_units", "LivingAreaUnits"),
    _measure("size_interior_finished", "DDF: Building/SizeInteriorFinished"),
    _text("size_interior_finished_units", "DDF: Building/SizeInteriorFinished; its unit"),
    _measure("total_finished_area", "DDF: Building/TotalFinishedArea"),
    _text("total_finished_area_units", "DDF: Building/TotalFinishedArea; its unit"),
    _list("basement", "Basement"),
    _list("basement_development", "DDF: Building/BasementDevelopment"),
    _list("basement_features", "DDF: Building/BasementFeatures"),
    _list("appliances", "Appliances"),
    _list("building_features", "BuildingFeatures"),
    _list("heating", "Heating"),
    _list("heating_fuel", "DDF: Building/HeatingFuel"),
    _list("cooling", "Cooling"),
    _boolean("fireplace_yn", "FireplaceYN"),
    _integer("fireplaces_total", "FireplacesTotal"),
    _list("fireplace_features", "FireplaceFeatures"),
    _list("fireplace_fuel", "DDF: Building/FireplaceFuel"),
    _list("fixture", "DDF: Building/Fixture"),
    _list("flooring", "Flooring"),
    _list("foundation_details", "FoundationDetails"),
    _list("roof", "Roof"),
    _list("roof_style", "DDF: Building/RoofStyle"),
    _list("security_features", "SecurityFeatures"),
    _list("electric", "Electric"),
    _list("water_source", "WaterSource"),
    _list("amperage", "DDF: Building/Amperage"),
    _measure("ceiling_height", "DDF: Building/CeilingHeight"),
    _text("ceiling_height_units", "DDF: Building/CeilingHeight; its unit"),
    _list("ceiling_type", "DDF: Building/CeilingType"),
    _list("clear_ceiling_height", "DDF: Building/ClearCeilingHeight"),
    _list("store_front", "DDF: Building/StoreFront"),
    _text("anchors_co_tenants", "AnchorsCoTenants"),
    _text("vacancy_rate", "DDF: Building/VacancyRate"),
    _text("boma_rating", "DDF: Building/BomaRating"),
    _text("energuide_rating", "DDF: Building/EnerguideRating"),
    _text("leeds_category", "DDF: Building/LeedsCategory"),
    _text("leeds_rating", "DDF: Building/LeedsRating"),
    _text("uffi", "DDF: Building/Uffi"),
    # land
    _measure("lot_size_area", "LotSizeArea"),
    _text("lot_size_units", "LotSizeUnits"),
    _measure("lot_size_acres", "LotSizeAcres; lot_size_area, when its unit is known"),
    _measure("lot_size_square_feet", "LotSizeSquareFeet; lot_size_area, when its unit is known"),
    _text("lot_size_dimensions", "LotSizeDimensions"),
    _text("lot_size_irregular", "DDF: Land/SizeIrregular"),
    _text("frontage_length", "FrontageLength; the raw text"),
    _measure("frontage_length_numeric", "DDF Web API: FrontageLengthNumeric"),
    _text("frontage_length_numeric_units", "DDF Web API: FrontageLengthNumericUnits"),
    _measure("size_depth", "DDF: Land/SizeDepth"),
    _text("size_depth_units", "DDF: Land/SizeDepth; its unit"),
    _boolean("acreage", "DDF: Land/Acreage"),
    _boolean("divisible", "DDF: Land/Divisible"),
    _measure("cleared_total", "DDF: Land/ClearedTotal"),
    _text("cleared_total_units", "DDF: Land/ClearedTotal; its unit"),
    _measure("pasture_area", "PastureArea"),
    _text("farm_land_area_units", "FarmLandAreaUnits; of pasture_area"),
    _measure("tiled_total", "DDF: Land/TiledTotal"),
    _text("tiled_total_units", "DDF: Land/TiledTotal; its unit"),
    _measure("fence_total", "DDF: Land/FenceTotal"),
    _text("fence_total_units", "DDF: Land/FenceTotal; its unit"),
    _list("fencing", "Fencing"),
    _list("sewer", "Sewer"),
    _list("access_type", "DDF: Land/AccessType"),
    _list("current_use", "CurrentUse"),
    _list("landscape_features", "DDF: Land/LandscapeFeatures"),
    _list("land_amenities", "DDF: Land/Amenities"),
    _list("topography", "Topography; each value"),
    _text("fronts_on", "DDF: Land/FrontsOn"),
    _list("land_disposition", "DDF: Land/LandDisposition"),
    _text("soil_evaluation", "DDF: Land/SoilEvaluation"),
    _list("soil_type", "DDF: Land/SoilType"),
    _list("surface_water", "DDF: Land/SurfaceWater"),
    # surroundings and use
    _list("amenities_near_by", "DDF: AmmenitiesNearBy"),
    _list("community_features", "CommunityFeatures"),
    _list("features", "DDF: Features"),
    _list("pool_features", "PoolFeatures"),
    _list("pool_type", "DDF: PoolType"),
    _list("view", "View"),
    _list("waterfront_features", "WaterfrontFeatures"),
    _text("water_body_name", "WaterBodyName"),
    _list("other_structures", "OtherStructures"),
    _list("other_equipment", "OtherEquipment"),
    _list("rental_equipment_type", "DDF: RentalEquipmentType"),
    _list("storage_type", "DDF: StorageType"),
    _list("road_surface_type", "RoadSurfaceType"),
    _list("irrigation_source", "IrrigationSource"),
    _list("documents_available", "DocumentsAvailable"),
    _list("communication_type", "DDF: CommunicationType"),
    _list("crop", "DDF: Crop"),
    _list("easement", "DDF: Easement"),
    _list("farm_type", "DDF: FarmType"),
    _list("live_stock_type", "DDF: LiveStockType"),
    _list("loading_type", "DDF: LoadingType"),
    _list("machinery", "DDF: Machinery"),
    _list("right_type", "DDF: RightType"),
    _list("sign_type", "DDF: SignType"),
    _list("utilities", "Utilities"),
    _list("utilities_available", "DDF: UtilitiesAvailable; each utility with its description"),
    _integer("parking_total", "ParkingTotal"),
    _list("parking_features", "ParkingFeatures"),
    _list("parking_spaces", "DDF: ParkingSpaces; each kind of parking with its spaces"),
    _text("zoning", "Zoning"),
    _text("zoning_description", "ZoningDescription"),
    _text("municipal_id", "DDF: MunicipalId"),
    _text("plan", "DDF: Plan"),
    _integer("number_of_buildings", "NumberOfBuildings"),
    # business
    _list("business_type", "BusinessType"),
    _list("business_sub_type", "DDF: Business/BusinessSubType"),
    _text("business_name", "BusinessName"),
    _boolean("franchise", "DDF: Business/Franchise"),
    _integer("year_established", "YearEstablished; the year in established_date"),
    _text("established_date", "DDF: Business/EstablishedDate"),
    _text("operating_since", "DDF: Business/OperatingSince"),
    # images and links
    _integer("photos_count", "PhotosCount"),
    _moment("photos_change_timestamp", "PhotosChangeTimestamp; the newest photo's"),
    _text("brochure_link", "DDF: AlternateURL/BrochureLink"),
    _text("map_url", "MapURL"),
    _text("photo_link", "DDF: AlternateURL/PhotoLink"),
    _text("sound_link", "DDF: AlternateURL/SoundLink"),
    _text("video_link", "DDF: AlternateURL/VideoLink"),
    _text("social_media_website", "DDF: SocialMediaWebsite"),
    # who lists it
    _text("list_agent_key", "ListAgentKey"),
    _text("list_office_key", "ListOfficeKey"),
    _text("co_list_agent_key", "CoListAgentKey"),
    _text("co_list_office_key", "CoListOfficeKey"),
    _source_fields(),
    sa.Index(None, "feed", "modification_timestamp"),
    sa.Index(None, "city", "standard_status"),  # for cities alone too: most listings are active
    sa.Index(None, "list_price"),
    sa.Index(None, "latitude", "longitude"),
    comment="Property; one row for each listing that the server offers",
)

property_rooms = sa.Table(
    "property_rooms",
    metadata,
    _feed(),
    _key("listing_key", "ListingKey"),
    _key("room_key", "RoomKey; <listing_key>_<place in the payload>"),
    _text("room_type", "RoomType"),
    _text("room_level", "RoomLevel"),
    _measure("room_length", "RoomLength"),
    _measure("room_width", "RoomWidth"),
    _text("room_length_width_units", "RoomLengthWidthUnits"),
    _text("room_dimensions", "RoomDimensions"),
    _text("room_description", "RoomDescription"),
    _source_fields(),
    comment="PropertyRooms; the rooms of a listing",
)

media = sa.Table(
    "media",
    metadata,
    _feed(),
    _key("media_key", "MediaKey; <listing_key>_<sequence>"),
    _text("listing_key", "rets_pipeline: the listing it belongs to", nullable=False),
    _text("resource_name", "ResourceName"),
    _text("resource_record_key", "ResourceRecordKey"),
    _text("resource_record_id", "ResourceRecordID"),
    _integer("order", "Order"),
    _text("media_category", "MediaCategory"),
    _text("media_url", "MediaURL; the large photo"),
    _text("medium_url", "DDF: PropertyPhoto/PhotoURL"),
    _text("thumbnail_url", "DDF: PropertyPhoto/ThumbnailURL"),
    _text("long_description", "LongDescription"),
    _moment("media_modification_timestamp", "MediaModificationTimestamp"),
    _boolean("preferred_photo_yn", "PreferredPhotoYN"),
    _text("change_token", "rets_pipeline: changes when the image's bytes do"),
    _text(
        "unreliable_last_updated",
        "DDF: PropertyPhoto/LastUpdated; day and month swapped, never compared",
    ),
    _source_fields(),
    sa.Index(None, "feed", "listing_key"),
    comment="Media; the images that a listing's payload names",
)

open_house = sa.Table(
    "open_house",
    metadata,
    _feed(),
    _key("listing_key", "ListingKey"),
    _key("open_house_key", "OpenHouseKey; <listing_key>_<place in the payload>"),
    _date("open_house_date", "OpenHouseDate; local to the property"),
    _moment("open_house_start_time", "OpenHouseStartTime; by property.property_time_zone_name"),
    _moment("open_house_end_time", "OpenHouseEndTime; by property.property_time_zone_name"),
    _local("open_house_start_local", "DDF: Event/StartDateTime; as clocks there show it"),
    _local("open_house_end_local", "DDF: Event/EndDateTime; as clocks there show it"),
    _text("open_house_type", "OpenHouseType"),
    _text("open_house_remarks", "OpenHouseRemarks"),
    _text("livestream_open_house_url", "LivestreamOpenHouseURL"),
    _source_fields(),
    comment="OpenHouse; the open houses and live streams of a listing",
)

property_member = sa.Table(
    "property_member",
    metadata,
    _feed(),
    _key("listing_key", "ListingKey"),
    _order("order", "Order; place in the payload, from 1"),
    _text("member_key", "MemberKey"),
    _text("office_key", "OfficeKey"),
    _text("role", "rets_pipeline: ListAgent (the first) or CoListAgent"),
    _source_fields(),
    _source_fields("uncompared_fields"),
    sa.Index(None, "feed", "member_key"),
    comment="The agents of a listing in the payload's order, each with the office named there",
)

member = sa.Table(
    "member",
    metadata,
    _feed(),
    _key("member_key", "MemberKey"),
    _text("member_full_name", "MemberFullName"),
    _text("job_title", "JobTitle"),
    _text("office_key", "OfficeKey"),
    _list("member_designation", "MemberDesignation"),
    _list("member_languages", "MemberLanguages"),
    _list("specialties", "DDF: AgentDetails/Specialties"),
    _list("trading_areas", "DDF: AgentDetails/TradingAreas"),
    _list("education_credentials", "DDF: AgentDetails/EducationCredentials"),
    _text("street_address", "DDF: AgentDetails/Address/StreetAddress"),
    _text("member_address1", "MemberAddress1"),
    _text("member_address2", "MemberAddress2"),
    _text("member_city", "MemberCity"),
    _text("member_state_or_province", "MemberStateOrProvince"),
    _text("member_postal_code", "MemberPostalCode"),
    _text("member_country", "MemberCountry"),
    _moment("photo_last_updated", "DDF: AgentDetails/PhotoLastUpdated"),
    _text("photo_thumbnail_url", "DDF: AgentDetails/Photo/ThumbnailURL"),
    _text("photo_url", "DDF: AgentDetails/Photo/LargePhotoURL"),
    _text("photo_change_token", "rets_pipeline: changes when the photo's bytes do"),
    _text(
        "photo_unreliable_last_updated",
        "DDF: AgentDetails/Photo/LastUpdated; day and month may be swapped",
    ),
    _moment("modification_timestamp", "ModificationTimestamp; from its own search only"),
    _text("observed_in", "rets_pipeline: Property, or Member (its own search)", nullable=False),
    _text("pull_id", "rets_pipeline: the pull that brought this row"),
    _source_fields(),
    _source_fields("uncompared_fields"),
    comment="Member; the agents, seen inside listings or by a search of their own",
)

office = sa.Table(
    "office",
    metadata,
    _feed(),
    _key("office_key", "OfficeKey"),
    _text("office_name", "OfficeName"),
    _text("office_type", "OfficeType"),
    _text("franchise_affiliation", "FranchiseAffiliation"),
    _text("designation", "DDF: Office/Designation"),
    _text("street_address", "DDF: Office/Address/StreetAddress"),
    _text("office_address1", "OfficeAddress1"),
    _text("office_address2", "OfficeAddress2"),
    _text("office_city", "OfficeCity"),
    _text("office_state_or_province", "OfficeStateOrProvince"),
    _text("office_postal_code", "OfficePostalCode"),
    _text("office_country", "OfficeCountry"),
    _text(
        "logo_url",
        "DDF: Office/Logo/ThumbnailURL; its TS number follows the listing's date",
    ),
    _moment("logo_last_updated", "DDF: Office/LogoLastUpdated; from its own search only"),
    _text("logo_change_token", "rets_pipeline: changes when the logo's bytes do"),
    _moment("modification_timestamp", "ModificationTimestamp; from its own search only"),
    _text("observed_in", "rets_pipeline: Property, or Office (its own search)", nullable=False),
    _text("pull_id", "rets_pipeline: the pull that brought this row"),
    _source_fields(),
    _source_fields("uncompared_fields"),
    comment="Office; the offices, seen inside listings or by a search of their own",
)

other_phone = sa.Table(
    "other_phone",
    metadata,
    _feed(),
    _key("resource_name", "ResourceName; Member or Office"),
    _key("resource_record_key", "ResourceRecordKey"),
    _order("order", "rets_pipeline: place in the payload, from 1"),
    _text("other_phone_number", "OtherPhoneNumber"),
    _text("other_phone_type", "OtherPhoneType"),
    _text("contact_type", "DDF: Phone/@ContactType"),
    comment="OtherPhone; the phone numbers of members and offices",
)

social_media = sa.Table(
    "social_media",
    metadata,
    _feed(),
    _key("resource_name", "ResourceName; Member or Office"),
    _key("resource_record_key", "ResourceRecordKey"),
    _order("order", "rets_pipeline: place in the payload, from 1"),
    _text("social_media_url_or_id", "SocialMediaUrlOrId"),
    _text("social_media_type", "SocialMediaType"),
    _text("contact_type", "DDF: Website/@ContactType"),
    comment="SocialMedia; the websites of members and offices",
)

history_transactional = sa.Table(
    "history_transactional",
    metadata,
    _feed(),
    _key("history_transactional_key", "HistoryTransactionalKey"),
    _text("resource_name", "ResourceName", nullable=False),
    _text("resource_record_key", "ResourceRecordKey", nullable=False),
    _text("resource_record_id", "ResourceRecordID"),
    _text("change_type", "ChangeType"),
    _text("field_name", "FieldName"),
    _text("previous_value", "PreviousValue"),
    _text("new_value", "NewValue"),
    _moment("modification_timestamp", "ModificationTimestamp; the source's time of the change"),
    _text("pull_id", "rets_pipeline: the pull that showed the change"),
    sa.Index(
        "ix_history_transactional_feed_record", "feed", "resource_name", "resource_record_key"
    ),
    comment="HistoryTransactional; what changed, when, from which value to which",
)

geocode = sa.Table(
    "geocode",
    metadata,
    _key("address_hash", "rets_pipeline: of the place; one for all its spellings and units"),
    _text("address", "rets_pipeline: the text that is asked for", nullable=False),
    _coordinate("latitude", "Latitude"),
    _coordinate("longitude", "Longitude"),
    _text("provider", "rets_pipeline: whose answer is the best one"),
    _text("precision", "rets_pipeline: rooftop, street, postal_code, fsa or city"),
    sa.Column("confidence", sa.Numeric(5, 4), comment="rets_pipeline: 0 to 1"),
    _text("matched_text", "rets_pipeline: the address that the provider understood"),
    _moment("geocoded_at", "rets_pipeline: when it answered"),
    _text("state", "rets_pipeline: pending, found or not_found", nullable=False),
    comment="The best answer of geocoders for each address, shared by all feeds",
)

#: The tables whose rows belong to one listing and are replaced with it, parents first. Each has
#: ``feed`` and ``listing_key``. No foreign keys: they would slow the load, and the rows of a
#: listing only ever come and go together, in one transaction.
LISTING_TABLES: tuple[str, ...] = (
    "property",
    "property_rooms",
    "media",
    "open_house",
    "property_member",
)


@dataclass(frozen=True, slots=True)
class SharedTable:
    """A table whose rows several listings name.

    Attributes:
        name: of the table.
        key: its key column beside ``feed``.
        resource_name: RESO's name of the resource: the value of ``resource_name`` in the
            dependents, and of ``observed_in`` in rows that came from the resource's own search.
        dependents: tables with ``resource_name`` and ``resource_record_key``, replaced with it.
    """

    name: str
    key: str
    resource_name: str
    dependents: tuple[str, ...]


SHARED_TABLES: tuple[SharedTable, ...] = (
    SharedTable("member", "member_key", "Member", ("other_phone", "social_media")),
    SharedTable("office", "office_key", "Office", ("other_phone", "social_media")),
)

#: Columns whose value changes at the source without a change that anybody would want to see.
#: They are stored, and take no part in any comparison of rows.
UNCOMPARED_COLUMNS: dict[str, frozenset[str]] = {
    "media": frozenset({"unreliable_last_updated"}),
    "office": frozenset(
        {"logo_last_updated", "modification_timestamp", "pull_id", "uncompared_fields"}
    ),
    "member": frozenset({"modification_timestamp", "pull_id", "uncompared_fields"}),
    "property": frozenset({"modification_timestamp"}),
    "property_member": frozenset({"uncompared_fields"}),
}


#: Parts of columns, likewise: all else in them counts.
_UNCOMPARED_PARTS: dict[tuple[str, str], re.Pattern[str]] = {
    ("office", "logo_url"): re.compile(r"/TS[0-9]+/"),
}


def compared(table: str, column: str, value: Any) -> Any:
    """A value without the part that takes no part in comparisons.

    Args:
        table: of the column.
        column: none of :data:`UNCOMPARED_COLUMNS`.
        value: as it is stored.
    """
    part = _UNCOMPARED_PARTS.get((table, column))
    return value if part is None or value is None else part.sub("", value)


def named(name: str) -> sa.Table:
    """The table of that name, a ledger too.

    Raises:
        KeyError: there is none.
    """
    return metadata.tables[name]
