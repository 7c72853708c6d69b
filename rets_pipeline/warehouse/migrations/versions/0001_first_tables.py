"""The first tables.

Revises: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rets_pipeline.warehouse import types
from rets_pipeline.warehouse.migrations import operations

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the schema to this revision."""
    op.create_table(
        "address_judgement",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column(
            "judged_by", sa.Text(), nullable=False, comment="settings of all but the next ones"
        ),
        sa.Column("judging_by", sa.Text(), nullable=False, comment="settings that are wanted"),
        sa.Column(
            "judged_until",
            sa.Text(),
            nullable=True,
            comment="listings up to this key are judged by them",
        ),
        sa.PrimaryKeyConstraint("feed", name=op.f("pk_address_judgement")),
        comment="By which settings the coordinates of each feed's listings were judged",
    )
    op.create_table(
        "address_sync",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("listing_key", sa.Text(), nullable=False),
        sa.Column(
            "seen",
            sa.Text(),
            nullable=False,
            comment="address and coordinates in the payload, as text",
        ),
        sa.Column("address_hash", sa.Text(), nullable=False, comment="of that address"),
        sa.Column(
            "payload_coordinates", sa.Text(), nullable=False, comment="accepted, refused or absent"
        ),
        sa.Column(
            "reason", sa.Text(), nullable=True, comment="why the payload's coordinates were refused"
        ),
        sa.PrimaryKeyConstraint("feed", "listing_key", name=op.f("pk_address_sync")),
        comment="The address that each listing was seen with; right while its payload has it",
    )
    op.create_index("ix_address_sync_address_hash", "address_sync", ["address_hash"], unique=False)
    op.create_table(
        "geocode",
        sa.Column(
            "address_hash",
            sa.Text(),
            nullable=False,
            comment="rets_pipeline: of the place; one for all its spellings and units",
        ),
        sa.Column(
            "address",
            sa.Text(),
            nullable=False,
            comment="rets_pipeline: the text that is asked for",
        ),
        sa.Column("latitude", sa.Numeric(precision=13, scale=8), nullable=True, comment="Latitude"),
        sa.Column(
            "longitude", sa.Numeric(precision=13, scale=8), nullable=True, comment="Longitude"
        ),
        sa.Column(
            "provider",
            sa.Text(),
            nullable=True,
            comment="rets_pipeline: whose answer is the best one",
        ),
        sa.Column(
            "precision",
            sa.Text(),
            nullable=True,
            comment="rets_pipeline: rooftop, street, postal_code, fsa or city",
        ),
        sa.Column(
            "confidence",
            sa.Numeric(precision=5, scale=4),
            nullable=True,
            comment="rets_pipeline: 0 to 1",
        ),
        sa.Column(
            "matched_text",
            sa.Text(),
            nullable=True,
            comment="rets_pipeline: the address that the provider understood",
        ),
        sa.Column(
            "geocoded_at",
            types.UtcTimestamp(),
            nullable=True,
            comment="rets_pipeline: when it answered",
        ),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="rets_pipeline: pending, found or not_found"
        ),
        sa.PrimaryKeyConstraint("address_hash", name=op.f("pk_geocode")),
        comment="The best answer of geocoders for each address, shared by all feeds",
    )
    op.create_table(
        "geocode_answer",
        sa.Column("address_hash", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False, comment="as feeds.yaml names it"),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="found, not_found, refused or failed"
        ),
        sa.Column("latitude", sa.Numeric(precision=13, scale=8), nullable=True),
        sa.Column("longitude", sa.Numeric(precision=13, scale=8), nullable=True),
        sa.Column(
            "precision",
            sa.Text(),
            nullable=True,
            comment="rooftop, street, postal_code, fsa or city",
        ),
        sa.Column("confidence", sa.Numeric(precision=5, scale=4), nullable=True, comment="0 to 1"),
        sa.Column(
            "matched_text",
            sa.Text(),
            nullable=True,
            comment="the address that the provider understood",
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it was refused or failed"),
        sa.Column("answered_at", types.UtcTimestamp(), nullable=False),
        sa.Column(
            "attempts", sa.Integer(), nullable=False, comment="that failed, one after another"
        ),
        sa.Column(
            "next_attempt",
            types.UtcTimestamp(),
            nullable=True,
            comment="when to ask again; NULL: never",
        ),
        sa.PrimaryKeyConstraint("address_hash", "provider", name=op.f("pk_geocode_answer")),
        comment="What each geocoder said of each address",
    )
    op.create_index(
        "ix_geocode_answer_next_attempt", "geocode_answer", ["next_attempt"], unique=False
    )
    op.create_table(
        "geocode_provider",
        sa.Column("provider", sa.Text(), nullable=False, comment="as feeds.yaml names it"),
        sa.Column("day", sa.Date(), nullable=False, comment="UTC"),
        sa.Column("requests", sa.Integer(), nullable=False, comment="on that day"),
        sa.Column(
            "faults", sa.Integer(), nullable=False, comment="of the service, one after another"
        ),
        sa.Column(
            "resting_until", types.UtcTimestamp(), nullable=True, comment="it is not asked before"
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it rests"),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_geocode_provider")),
        comment="What each geocoder was asked for today",
    )
    op.create_table(
        "history_transactional",
        sa.Column(
            "feed",
            sa.Text(),
            nullable=False,
            comment="rets_pipeline: the feed's name in feeds.yaml",
        ),
        sa.Column(
            "history_transactional_key",
            sa.Text(),
            nullable=False,
            comment="HistoryTransactionalKey",
        ),
        sa.Column("resource_name", sa.Text(), nullable=False, comment="ResourceName"),
        sa.Column("resource_record_key", sa.Text(), nullable=False, comment="ResourceRecordKey"),
        sa.Column("resource_record_id", sa.Text(), nullable=True, comment="ResourceRecordID"),
        sa.Column("change_type", sa.Text(), nullable=True, comment="ChangeType"),
        sa.Column("field_name", sa.Text(), nullable=True, comment="FieldName"),
        sa.Column("previous_value", sa.Text(), nullable=True, comment="PreviousValue"),
        sa.Column("new_value", sa.Text(), nullable=True, comment="NewValue"),
        sa.Column(
            "modification_timestamp",
            types.UtcTimestamp(),
            nullable=True,
            comment="ModificationTimestamp; the source's time of the change",
        ),
        sa.Column(
            "pull_id",
            sa.Text(),
            nullable=True,
            comment="rets_pipeline: the pull that showed the change",
        ),
        sa.PrimaryKeyConstraint(
            "feed", "history_transactional_key", name=op.f("pk_history_transactional")
        ),
        comment="HistoryTransactional; what changed, when, from which value to which",
    )
    op.create_index(
        "ix_history_transactional_feed_record",
        "history_transactional",
        ["feed", "resource_name", "resource_record_key"],
        unique=False,
    )
    op.create_table(
        "listing_sync",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("listing_key", sa.Text(), nullable=False),
        sa.Column(
            "master_timestamp",
            types.UtcTimestamp(),
            nullable=True,
            comment="in the master list it was fetched by",
        ),
        sa.Column(
            "payload_timestamp", types.UtcTimestamp(), nullable=True, comment="in the record itself"
        ),
        sa.Column("content_hash", sa.Text(), nullable=True),
        sa.Column(
            "pull_id", sa.Text(), nullable=False, comment="the latest pull that asked for it"
        ),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="loaded, quarantined, not_returned, or stale (loaded, and asked for again)",
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "next_attempt",
            types.UtcTimestamp(),
            nullable=True,
            comment="when to ask again; NULL: on a change only",
        ),
        sa.PrimaryKeyConstraint("feed", "listing_key", name=op.f("pk_listing_sync")),
        comment="What is held of each key, compared with the master list to find what to fetch",
    )
    op.create_index("ix_listing_sync_feed_state", "listing_sync", ["feed", "state"], unique=False)
    op.create_table(
        "media",
        sa.Column(
            "feed",
            sa.Text(),
            nullable=False,
            comment="rets_pipeline: the feed's name in feeds.yaml",
        ),
        sa.Column(
            "media_key", sa.Text(), nullable=False, comment="MediaKey; <listing_key>_<sequence>"
        ),
        sa.Column(
            "listing_key",
            sa.Text(),
            nullable=False,
            comment="rets_pipeline: the listing it belongs to",
        ),
        sa.Column("resource_name", sa.Text(), nullable=True, comment="ResourceName"),
        sa.Column("resource_record_key", sa.Text(), nullable=True, comment="ResourceRecordKey"),
        sa.Column("resource_record_id", sa.Text(), nullable=True, comment="ResourceRecordID"),
        sa.Column("order", sa.Integer(), nullable=True, comment="Order"),
        sa.Column("media_category", sa.Text(), nullable=True, comment="MediaCategory"),
        sa.Column("media_url", sa.Text(), nullable=True, comment="MediaURL; the large photo"),
        sa.Column("medium_url", sa.Text(), nullable=True, comment="DDF: PropertyPhoto/PhotoURL"),
        sa.Column(
            "thumbnail_url", sa.Text(), nullable=True, comment="DDF: PropertyPhoto/ThumbnailURL"
        ),
        sa.Column("long_description", sa.Text(), nullable=True, comment="LongDescription"),
        sa.Column(
            "media_modification_timestamp",
            types.UtcTimestamp(),
            nullable=True,
            comment="MediaModificationTimestamp",
        ),
        sa.Column("preferred_photo_yn", sa.Boolean(), nullable=True, comment="PreferredPhotoYN"),
        sa.Column(
            "change_token",
            sa.Text(),
            nullable=True,
            comment="rets_pipeline: changes when the image's bytes do",
        ),
        sa.Column(
            "unreliable_last_updated",
            sa.Text(),
            nullable=True,
            comment="DDF: PropertyPhoto/LastUpdated; day and month swapped, never compared",
        ),
        sa.Column(
            "source_fields",
            types.json_type(),
            nullable=True,
            comment="rets_pipeline: what no column took, under the source's names",
        ),
        sa.PrimaryKeyConstraint("feed", "media_key", name=op.f("pk_media")),
        comment="Media; the images that a listing's payload names",
    )
    op.create_index(
        op.f("ix_media_feed_listing_key"), "media", ["feed", "listing_key"], unique=False
    )
    op.create_table(
        "media_base_url",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False, comment="that blob keys are put behind"),
        sa.PrimaryKeyConstraint("feed", name=op.f("pk_media_base_url")),
        comment="The address of each feed's images, as its settings name it",
    )
    op.create_table(
        "media_file",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column(
            "resource_name",
            sa.Text(),
            nullable=False,
            comment="Property (photos), Member (photos) or Office (logos)",
        ),
        sa.Column("resource_record_key", sa.Text(), nullable=False),
        sa.Column(
            "media_key",
            sa.Text(),
            nullable=False,
            comment="of media; of members and offices, which have one image, their own key",
        ),
        sa.Column("size", sa.Text(), nullable=False, comment="thumbnail, medium or large"),
        sa.Column(
            "change_token",
            sa.Text(),
            nullable=True,
            comment="of the payload that the state is about",
        ),
        sa.Column(
            "held_token",
            sa.Text(),
            nullable=True,
            comment="of the payload that the bytes belong to; an older one while newer bytes fail",
        ),
        sa.Column(
            "blob_key", sa.Text(), nullable=True, comment="in the archive; NULL: nothing held"
        ),
        sa.Column(
            "content_hash", sa.Text(), nullable=True, comment="SHA-256 of the bytes, hexadecimal"
        ),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column(
            "width",
            sa.Integer(),
            nullable=True,
            comment="in pixels; NULL: the header cannot be read",
        ),
        sa.Column("height", sa.Integer(), nullable=True, comment="in pixels"),
        sa.Column("source_url", sa.Text(), nullable=True, comment="that the bytes came from"),
        sa.Column("etag", sa.Text(), nullable=True, comment="that came with them"),
        sa.Column(
            "last_modified", sa.Text(), nullable=True, comment="likewise, as the server wrote it"
        ),
        sa.Column("state", sa.Text(), nullable=False, comment="stored, absent, failed or vanished"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt", types.UtcTimestamp(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("stored_at", types.UtcTimestamp(), nullable=True),
        sa.PrimaryKeyConstraint(
            "feed",
            "resource_name",
            "resource_record_key",
            "media_key",
            "size",
            name=op.f("pk_media_file"),
        ),
        comment="What is held of each image in the archive",
    )
    op.create_index("ix_media_file_feed_blob_key", "media_file", ["feed", "blob_key"], unique=False)
    op.create_index(
        "ix_media_file_feed_next_attempt", "media_file", ["feed", "next_attempt"], unique=False
    )
    op.create_index("ix_media_file_feed_state", "media_file", ["feed", "state"], unique=False)
    op.create_table(
        "member",
        sa.Column(
            "feed",
            sa.Text(),
            nullable=False,
            comment="rets_pipeline: the feed's name in feeds.yaml",
        ),
        sa.Column("member_key", sa.Text(), nullable=False, comment="MemberKey"),
        sa.Column("member_full_name", sa.Text(), nullable=True, comment="MemberFullName"),
        sa.Column("job_title", sa.Text(), nullable=True, comment="JobTitle"),
        sa.Column("office_key", sa.Text(), nullable=True, comment="OfficeKey"),
        sa.Column(
            "member_designation", types.json_type(), nullable=True, comment="MemberDesignation"
        ),
        sa.Column("member_languages", types.json_type(), nullable=True, comment="MemberLanguages"),
        sa.Column(
            "specialties", types.json_type(), nullable=True, comment="DDF: AgentDetails/Specialties"
        ),
        sa.Column(
            "trading_areas",
            types.json_type(),
            nullable=True,
            comment="DDF: AgentDetails/TradingAreas",
        ),
        sa.Column(
            "education_credentials",
            types.json_type(),
            nullable=True,
            comment="DDF: AgentDetails/EducationCredentials",
        ),
        sa.Column(
            "street_address",
            sa.Text(),
            nullable=True,
            comment="DDF: AgentDetails/Address/StreetAddress",
        ),
        sa.Column("member_address1", sa.Text(), nullable=True, comment="MemberAddress1"),
        sa.Column("member_address2", sa.Text(), nullable=True, comment="MemberAddress2"),
        sa.Column("member_city", sa.Text(), nullable=True, comment="MemberCity"),
        sa.Column(
            "member_state_or_province", sa.Text(), nullable=True, comment="MemberStateOrProvince"
        ),
        sa.Column("member_postal_code", sa.Text(), nullable=True, comment="MemberPostalCode"),
        sa.Column("member_country", sa.Text(), nullable=True, comment="MemberCountry"),
        sa.Column(
            "photo_last_updated",
            types.UtcTimestamp(),
            nullable=True,
            comment="DDF: AgentDetails/PhotoLastUpdated",
        ),
        sa.Column(
            "photo_thumbnail_url",
            sa.Text(),
            nullable=True,
            comment="DDF: AgentDetails/Photo/ThumbnailURL",
        ),
        sa.Column(
            "photo_url", sa.Text(), nullable=True, comment="DDF: AgentDetails/Photo/LargePhotoURL"
        ),
        sa.Column(
            "photo_change_token",
            sa.Text(),
            nullable=True,
            comment="rets_pipeline: changes when the photo's bytes do",
        ),
        sa.Column(
            "photo_unreliable_last_updated",
            sa.Text(),
            nullable=True,
            comment="DDF: AgentDetails/Photo/LastUpdated; day and month may be swapped",
        ),
        sa.Column(
            "modification_timestamp",
            types.UtcTimestamp(),
            nullable=True,
            comment="ModificationTimestamp; from its own search only",
        ),
        sa.Column(
            "observed_in",
            sa.Text(),
            nullable=False,
            comment="rets_pipeline: Property, or Member (its own search)",
        ),
        sa.Column(
            "pull_id",
            sa.Text(),
            nullable=True,
            comment="rets_pipeline: the pull that brought this row",
        ),
        sa.Column(
            "source_fields",
            types.json_type(),
            nullable=True,
            comment="rets_pipeline: what no column took, under the source's names",
        ),
        sa.Column(
            "uncompared_fields",
            types.json_type(),
            nullable=True,
            comment="rets_pipeline: what no column took, under the source's names",
        ),
        sa.PrimaryKeyConstraint("feed", "member_key", name=op.f("pk_member")),
        comment="Member; the agents, seen inside listings or by a search of their own",
    )
    op.create_table(
        "office",
        sa.Column(
            "feed",
            sa.Text(),
            nullable=False,
            comment="rets_pipeline: the feed's name in feeds.yaml",
        ),
        sa.Column("office_key", sa.Text(), nullable=False, comment="OfficeKey"),
        sa.Column("office_name", sa.Text(), nullable=True, comment="OfficeName"),
        sa.Column("office_type", sa.Text(), nullable=True, comment="OfficeType"),
        sa.Column(
            "franchise_affiliation", sa.Text(), nullable=True, comment="FranchiseAffiliation"
        ),
        sa.Column("designation", sa.Text(), nullable=True, comment="DDF: Office/Designation"),
        sa.Column(
            "street_address", sa.Text(), nullable=True, comment="DDF: Office/Address/StreetAddress"
        ),
        sa.Column("office_address1", sa.Text(), nullable=True, comment="OfficeAddress1"),
        sa.Column("office_address2", sa.Text(), nullable=True, comment="OfficeAddress2"),
        sa.Column("office_city", sa.Text(), nullable=True, comment="OfficeCity"),
        sa.Column(
            "office_state_or_province", sa.Text(), nullable=True, comment="OfficeStateOrProvince"
        ),
        sa.Column("office_postal_code", sa.Text(), nullable=True, comment="OfficePostalCode"),
        sa.Column("office_country", sa.Text(), nullable=True, comment="OfficeCountry"),
        sa.Column(
            "logo_url",
            sa.Text(),
            nullable=True,
            comment="DDF: Office/Logo/ThumbnailURL; its TS number follows the listing's date",
        ),
        sa.Column(
            "logo_last_updated",
            types.UtcTimestamp(),
            nullable=True,
            comment="DDF: Office/LogoLastUpdated; from its own search only",
        ),
        sa.Column(
            "logo_change_token",
            sa.Text(),
            nullable=True,
            comment="rets_pipeline: changes when the logo's bytes do",
        ),
        sa.Column(
            "modification_timestamp",
            types.UtcTimestamp(),
            nullable=True,
            comment="ModificationTimestamp; from its own search only",
        ),
        sa.Column(
            "observed_in",
            sa.Text(),
            nullable=False,
            comment="rets_pipeline: Property, or Office (its own search)",
        ),
        sa.Column(
            "pull_id",
            sa.Text(),
            nullable=True,
            comment="rets_pipeline: the pull that brought this row",
        ),
        sa.Column(
            "source_fields",
            types.json_type(),
            nullable=True,
            comment="rets_pipeline: what no column took, under the source's names",
        ),
        sa.Column(
            "uncompared_fields",
            types.json_type(),
            nullable=True,
            comment="rets_pipeline: what no column took, under the source's names",
        ),
        sa.PrimaryKeyConstraint("feed", "office_key", name=op.f("pk_office")),
        comment="Office; the offices, seen inside listings or by a search of their own",
    )
    op.create_table(
        "open_house",
        sa.Column(
            "feed",
            sa.Text(),
            nullable=False,
            comment="rets_pipeline: the feed's name in feeds.yaml",
        ),
        sa.Column("listing_key", sa.Text(), nullable=False, comment="ListingKey"),
        sa.Column(
            "open_house_key",
            sa.Text(),
            nullable=False,
            comment="OpenHouseKey; <listing_key>_<place in the payload>",
        ),
        sa.Column(
            "open_house_date",
            sa.Date(),
            nullable=True,
            comment="OpenHouseDate; local to the property",
        ),
        sa.Column(
            "open_house_start_time",
            types.UtcTimestamp(),
            nullable=True,
            comment="OpenHouseStartTime; by property.property_time_zone_name",
        ),
        sa.Column(
            "open_house_end_time",
            types.UtcTimestamp(),
            nullable=True,
            comment="OpenHouseEndTime; by property.property_time_zone_name",
        ),
        sa.Column(
            "open_house_start_local",
            sa.DateTime(),
            nullable=True,
            comment="DDF: Event/StartDateTime; as clocks there show it",
        ),
        sa.Column(
            "open_house_end_local",
            sa.DateTime(),
            nullable=True,
            comment="DDF: Event/EndDateTime; as clocks there show it",
        ),
        sa.Column("open_house_type", sa.Text(), nullable=True, comment="OpenHouseType"),
        sa.Column("open_house_remarks", sa.Text(), nullable=True, comment="OpenHouseRemarks"),
        sa.Column(
            "livestream_open_house_url", sa.Text(), nullable=True, comment="LivestreamOpenHouseURL"
        ),
        sa.Column(
            "source_fields",
            types.json_type(),
            nullable=True,
            comment="rets_pipeline: what no column took, under the source's names",
        ),
        sa.PrimaryKeyConstraint(
            "feed", "listing_key", "open_house_key", name=op.f("pk_open_house")
        ),
        comment="OpenHouse; the open houses and live streams of a listing",
    )
    op.create_table(
        "other_phone",
        sa.Column(
            "feed",
            sa.Text(),
            nullable=False,
            comment="rets_pipeline: the feed's name in feeds.yaml",
        ),
        sa.Column(
            "resource_name", sa.Text(), nullable=False, comment="ResourceName; Member or Office"
        ),
        sa.Column("resource_record_key", sa.Text(), nullable=False, comment="ResourceRecordKey"),
        sa.Column(
            "order",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="rets_pipeline: place in the payload, from 1",
        ),
        sa.Column("other_phone_number", sa.Text(), nullable=True, comment="OtherPhoneNumber"),
        sa.Column("other_phone_type", sa.Text(), nullable=True, comment="OtherPhoneType"),
        sa.Column("contact_type", sa.Text(), nullable=True, comment="DDF: Phone/@ContactType"),
        sa.PrimaryKeyConstraint(
            "feed", "resource_name", "resource_record_key", "order", name=op.f("pk_other_phone")
        ),
        comment="OtherPhone; the phone numbers of members and offices",
    )
    op.create_table(
        "property",
        sa.Column(
            "feed",
            sa.Text(),
            nullable=False,
            comment="rets_pipeline: the feed's name in feeds.yaml",
        ),
        sa.Column("listing_key", sa.Text(), nullable=False, comment="ListingKey"),
        sa.Column(
            "listing_id",
            sa.Text(),
            nullable=True,
            comment="ListingId; the board's number, not unique across boards",
        ),
        sa.Column(
            "list_aor_key",
            sa.Text(),
            nullable=True,
            comment="DDF Web API: ListAORKey; id of the board",
        ),
        sa.Column("standard_status", sa.Text(), nullable=True, comment="StandardStatus"),
        sa.Column(
            "property_type",
            sa.Text(),
            nullable=True,
            comment="PropertyType; follows from property_sub_type and transaction_type",
        ),
        sa.Column("property_sub_type", sa.Text(), nullable=True, comment="PropertySubType"),
        sa.Column("transaction_type", sa.Text(), nullable=True, comment="DDF: TransactionType"),
        sa.Column(
            "modification_timestamp",
            types.UtcTimestamp(),
            nullable=True,
            comment="ModificationTimestamp",
        ),
        sa.Column("listing_contract_date", sa.Date(), nullable=True, comment="ListingContractDate"),
        sa.Column("listing_url", sa.Text(), nullable=True, comment="ListingURL"),
        sa.Column(
            "list_price",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="ListPrice; the lease price when there is no sale price",
        ),
        sa.Column("price_per_time", sa.Text(), nullable=True, comment="DDF: PricePerTime"),
        sa.Column("price_per_unit", sa.Text(), nullable=True, comment="DDF Web API: PricePerUnit"),
        sa.Column(
            "lease_amount", sa.Numeric(precision=14, scale=2), nullable=True, comment="LeaseAmount"
        ),
        sa.Column(
            "lease_amount_frequency", sa.Text(), nullable=True, comment="LeaseAmountFrequency"
        ),
        sa.Column("lease_per_unit", sa.Text(), nullable=True, comment="DDF Web API: LeasePerUnit"),
        sa.Column(
            "existing_lease_type", types.json_type(), nullable=True, comment="ExistingLeaseType"
        ),
        sa.Column(
            "lease_term_remaining", sa.Text(), nullable=True, comment="DDF: LeaseTermRemaining"
        ),
        sa.Column(
            "lease_term_remaining_freq",
            sa.Text(),
            nullable=True,
            comment="DDF: LeaseTermRemainingFreq",
        ),
        sa.Column(
            "association_fee",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="AssociationFee",
        ),
        sa.Column(
            "association_fee_frequency", sa.Text(), nullable=True, comment="AssociationFeeFrequency"
        ),
        sa.Column(
            "association_fee_includes",
            types.json_type(),
            nullable=True,
            comment="AssociationFeeIncludes",
        ),
        sa.Column("association_name", sa.Text(), nullable=True, comment="AssociationName"),
        sa.Column("ownership", sa.Text(), nullable=True, comment="Ownership"),
        sa.Column("public_remarks", sa.Text(), nullable=True, comment="PublicRemarks"),
        sa.Column(
            "location_description", sa.Text(), nullable=True, comment="DDF: LocationDescription"
        ),
        sa.Column(
            "additional_information_indicator",
            sa.Text(),
            nullable=True,
            comment="DDF: AdditionalInformationIndicator",
        ),
        sa.Column(
            "unparsed_address",
            sa.Text(),
            nullable=True,
            comment="UnparsedAddress; street, city, province, postal code in one line",
        ),
        sa.Column("street_address", sa.Text(), nullable=True, comment="DDF: Address/StreetAddress"),
        sa.Column("address_line1", sa.Text(), nullable=True, comment="DDF: Address/AddressLine1"),
        sa.Column("address_line2", sa.Text(), nullable=True, comment="DDF: Address/AddressLine2"),
        sa.Column("street_number", sa.Text(), nullable=True, comment="StreetNumber"),
        sa.Column("street_dir_prefix", sa.Text(), nullable=True, comment="StreetDirPrefix"),
        sa.Column("street_name", sa.Text(), nullable=True, comment="StreetName"),
        sa.Column("street_suffix", sa.Text(), nullable=True, comment="StreetSuffix"),
        sa.Column("street_dir_suffix", sa.Text(), nullable=True, comment="StreetDirSuffix"),
        sa.Column(
            "street_additional_info", sa.Text(), nullable=True, comment="StreetAdditionalInfo"
        ),
        sa.Column("unit_number", sa.Text(), nullable=True, comment="UnitNumber"),
        sa.Column("box_number", sa.Text(), nullable=True, comment="DDF: Address/BoxNumber"),
        sa.Column("city", sa.Text(), nullable=True, comment="City"),
        sa.Column("state_or_province", sa.Text(), nullable=True, comment="StateOrProvince"),
        sa.Column("postal_code", sa.Text(), nullable=True, comment="PostalCode"),
        sa.Column("country", sa.Text(), nullable=True, comment="Country"),
        sa.Column("city_region", sa.Text(), nullable=True, comment="CityRegion"),
        sa.Column("community_name", sa.Text(), nullable=True, comment="DDF: Address/CommunityName"),
        sa.Column("subdivision_name", sa.Text(), nullable=True, comment="SubdivisionName"),
        sa.Column("latitude", sa.Numeric(precision=13, scale=8), nullable=True, comment="Latitude"),
        sa.Column(
            "longitude", sa.Numeric(precision=13, scale=8), nullable=True, comment="Longitude"
        ),
        sa.Column(
            "property_time_zone_name",
            sa.Text(),
            nullable=True,
            comment="PropertyTimeZoneName; from province and coordinates",
        ),
        sa.Column("structure_type", types.json_type(), nullable=True, comment="StructureType"),
        sa.Column(
            "architectural_style", types.json_type(), nullable=True, comment="ArchitecturalStyle"
        ),
        sa.Column(
            "construction_status",
            sa.Text(),
            nullable=True,
            comment="DDF: Building/ConstructionStatus",
        ),
        sa.Column(
            "construction_style_attachment",
            sa.Text(),
            nullable=True,
            comment="DDF: Building/ConstructionStyleAttachment",
        ),
        sa.Column(
            "construction_style_other",
            sa.Text(),
            nullable=True,
            comment="DDF: Building/ConstructionStyleOther",
        ),
        sa.Column(
            "construction_style_split_level",
            sa.Text(),
            nullable=True,
            comment="DDF: Building/ConstructionStyleSplitLevel",
        ),
        sa.Column(
            "construction_materials",
            types.json_type(),
            nullable=True,
            comment="ConstructionMaterials",
        ),
        sa.Column(
            "exterior_finish",
            types.json_type(),
            nullable=True,
            comment="DDF: Building/ExteriorFinish",
        ),
        sa.Column("bedrooms_total", sa.Integer(), nullable=True, comment="BedroomsTotal"),
        sa.Column(
            "bedrooms_above_grade",
            sa.Integer(),
            nullable=True,
            comment="DDF Web API: BedroomsAboveGrade",
        ),
        sa.Column(
            "bedrooms_below_grade",
            sa.Integer(),
            nullable=True,
            comment="DDF Web API: BedroomsBelowGrade",
        ),
        sa.Column(
            "bathrooms_total_integer", sa.Integer(), nullable=True, comment="BathroomsTotalInteger"
        ),
        sa.Column("bathrooms_partial", sa.Integer(), nullable=True, comment="BathroomsPartial"),
        sa.Column("stories", sa.Numeric(precision=6, scale=2), nullable=True, comment="Stories"),
        sa.Column("year_built", sa.Integer(), nullable=True, comment="YearBuilt"),
        sa.Column(
            "year_built_effective",
            sa.Integer(),
            nullable=True,
            comment="YearBuiltEffective; the year in renovated_date",
        ),
        sa.Column(
            "renovated_date", sa.Text(), nullable=True, comment="DDF: Building/RenovatedDate"
        ),
        sa.Column("age", sa.Text(), nullable=True, comment="DDF: Building/Age"),
        sa.Column("unit_type", sa.Text(), nullable=True, comment="DDF: Building/UnitType"),
        sa.Column(
            "size_exterior",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="DDF: Building/SizeExterior",
        ),
        sa.Column(
            "size_exterior_units",
            sa.Text(),
            nullable=True,
            comment="DDF: Building/SizeExterior; its unit",
        ),
        sa.Column(
            "living_area", sa.Numeric(precision=14, scale=4), nullable=True, comment="LivingArea"
        ),
        sa.Column("living_area_units", sa.Text(), nullable=True, comment="LivingAreaUnits"),
        sa.Column(
            "size_interior_finished",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="DDF: Building/SizeInteriorFinished",
        ),
        sa.Column(
            "size_interior_finished_units",
            sa.Text(),
            nullable=True,
            comment="DDF: Building/SizeInteriorFinished; its unit",
        ),
        sa.Column(
            "total_finished_area",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="DDF: Building/TotalFinishedArea",
        ),
        sa.Column(
            "total_finished_area_units",
            sa.Text(),
            nullable=True,
            comment="DDF: Building/TotalFinishedArea; its unit",
        ),
        sa.Column("basement", types.json_type(), nullable=True, comment="Basement"),
        sa.Column(
            "basement_development",
            types.json_type(),
            nullable=True,
            comment="DDF: Building/BasementDevelopment",
        ),
        sa.Column(
            "basement_features",
            types.json_type(),
            nullable=True,
            comment="DDF: Building/BasementFeatures",
        ),
        sa.Column("appliances", types.json_type(), nullable=True, comment="Appliances"),
        sa.Column(
            "building_features", types.json_type(), nullable=True, comment="BuildingFeatures"
        ),
        sa.Column("heating", types.json_type(), nullable=True, comment="Heating"),
        sa.Column(
            "heating_fuel", types.json_type(), nullable=True, comment="DDF: Building/HeatingFuel"
        ),
        sa.Column("cooling", types.json_type(), nullable=True, comment="Cooling"),
        sa.Column("fireplace_yn", sa.Boolean(), nullable=True, comment="FireplaceYN"),
        sa.Column("fireplaces_total", sa.Integer(), nullable=True, comment="FireplacesTotal"),
        sa.Column(
            "fireplace_features", types.json_type(), nullable=True, comment="FireplaceFeatures"
        ),
        sa.Column(
            "fireplace_fuel",
            types.json_type(),
            nullable=True,
            comment="DDF: Building/FireplaceFuel",
        ),
        sa.Column("fixture", types.json_type(), nullable=True, comment="DDF: Building/Fixture"),
        sa.Column("flooring", types.json_type(), nullable=True, comment="Flooring"),
        sa.Column(
            "foundation_details", types.json_type(), nullable=True, comment="FoundationDetails"
        ),
        sa.Column("roof", types.json_type(), nullable=True, comment="Roof"),
        sa.Column(
            "roof_style", types.json_type(), nullable=True, comment="DDF: Building/RoofStyle"
        ),
        sa.Column(
            "security_features", types.json_type(), nullable=True, comment="SecurityFeatures"
        ),
        sa.Column("electric", types.json_type(), nullable=True, comment="Electric"),
        sa.Column("water_source", types.json_type(), nullable=True, comment="WaterSource"),
        sa.Column("amperage", types.json_type(), nullable=True, comment="DDF: Building/Amperage"),
        sa.Column(
            "ceiling_height",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="DDF: Building/CeilingHeight",
        ),
        sa.Column(
            "ceiling_height_units",
            sa.Text(),
            nullable=True,
            comment="DDF: Building/CeilingHeight; its unit",
        ),
        sa.Column(
            "ceiling_type", types.json_type(), nullable=True, comment="DDF: Building/CeilingType"
        ),
        sa.Column(
            "clear_ceiling_height",
            types.json_type(),
            nullable=True,
            comment="DDF: Building/ClearCeilingHeight",
        ),
        sa.Column(
            "store_front", types.json_type(), nullable=True, comment="DDF: Building/StoreFront"
        ),
        sa.Column("anchors_co_tenants", sa.Text(), nullable=True, comment="AnchorsCoTenants"),
        sa.Column("vacancy_rate", sa.Text(), nullable=True, comment="DDF: Building/VacancyRate"),
        sa.Column("boma_rating", sa.Text(), nullable=True, comment="DDF: Building/BomaRating"),
        sa.Column(
            "energuide_rating", sa.Text(), nullable=True, comment="DDF: Building/EnerguideRating"
        ),
        sa.Column(
            "leeds_category", sa.Text(), nullable=True, comment="DDF: Building/LeedsCategory"
        ),
        sa.Column("leeds_rating", sa.Text(), nullable=True, comment="DDF: Building/LeedsRating"),
        sa.Column("uffi", sa.Text(), nullable=True, comment="DDF: Building/Uffi"),
        sa.Column(
            "lot_size_area", sa.Numeric(precision=14, scale=4), nullable=True, comment="LotSizeArea"
        ),
        sa.Column("lot_size_units", sa.Text(), nullable=True, comment="LotSizeUnits"),
        sa.Column(
            "lot_size_acres",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="LotSizeAcres; lot_size_area, when its unit is known",
        ),
        sa.Column(
            "lot_size_square_feet",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="LotSizeSquareFeet; lot_size_area, when its unit is known",
        ),
        sa.Column("lot_size_dimensions", sa.Text(), nullable=True, comment="LotSizeDimensions"),
        sa.Column(
            "lot_size_irregular", sa.Text(), nullable=True, comment="DDF: Land/SizeIrregular"
        ),
        sa.Column(
            "frontage_length", sa.Text(), nullable=True, comment="FrontageLength; the raw text"
        ),
        sa.Column(
            "frontage_length_numeric",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="DDF Web API: FrontageLengthNumeric",
        ),
        sa.Column(
            "frontage_length_numeric_units",
            sa.Text(),
            nullable=True,
            comment="DDF Web API: FrontageLengthNumericUnits",
        ),
        sa.Column(
            "size_depth",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="DDF: Land/SizeDepth",
        ),
        sa.Column(
            "size_depth_units", sa.Text(), nullable=True, comment="DDF: Land/SizeDepth; its unit"
        ),
        sa.Column("acreage", sa.Boolean(), nullable=True, comment="DDF: Land/Acreage"),
        sa.Column("divisible", sa.Boolean(), nullable=True, comment="DDF: Land/Divisible"),
        sa.Column(
            "cleared_total",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="DDF: Land/ClearedTotal",
        ),
        sa.Column(
            "cleared_total_units",
            sa.Text(),
            nullable=True,
            comment="DDF: Land/ClearedTotal; its unit",
        ),
        sa.Column(
            "pasture_area", sa.Numeric(precision=14, scale=4), nullable=True, comment="PastureArea"
        ),
        sa.Column(
            "farm_land_area_units",
            sa.Text(),
            nullable=True,
            comment="FarmLandAreaUnits; of pasture_area",
        ),
        sa.Column(
            "tiled_total",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="DDF: Land/TiledTotal",
        ),
        sa.Column(
            "tiled_total_units", sa.Text(), nullable=True, comment="DDF: Land/TiledTotal; its unit"
        ),
        sa.Column(
            "fence_total",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="DDF: Land/FenceTotal",
        ),
        sa.Column(
            "fence_total_units", sa.Text(), nullable=True, comment="DDF: Land/FenceTotal; its unit"
        ),
        sa.Column("fencing", types.json_type(), nullable=True, comment="Fencing"),
        sa.Column("sewer", types.json_type(), nullable=True, comment="Sewer"),
        sa.Column("access_type", types.json_type(), nullable=True, comment="DDF: Land/AccessType"),
        sa.Column("current_use", types.json_type(), nullable=True, comment="CurrentUse"),
        sa.Column(
            "landscape_features",
            types.json_type(),
            nullable=True,
            comment="DDF: Land/LandscapeFeatures",
        ),
        sa.Column(
            "land_amenities", types.json_type(), nullable=True, comment="DDF: Land/Amenities"
        ),
        sa.Column("topography", types.json_type(), nullable=True, comment="Topography; each value"),
        sa.Column("fronts_on", sa.Text(), nullable=True, comment="DDF: Land/FrontsOn"),
        sa.Column(
            "land_disposition",
            types.json_type(),
            nullable=True,
            comment="DDF: Land/LandDisposition",
        ),
        sa.Column("soil_evaluation", sa.Text(), nullable=True, comment="DDF: Land/SoilEvaluation"),
        sa.Column("soil_type", types.json_type(), nullable=True, comment="DDF: Land/SoilType"),
        sa.Column(
            "surface_water", types.json_type(), nullable=True, comment="DDF: Land/SurfaceWater"
        ),
        sa.Column(
            "amenities_near_by", types.json_type(), nullable=True, comment="DDF: AmmenitiesNearBy"
        ),
        sa.Column(
            "community_features", types.json_type(), nullable=True, comment="CommunityFeatures"
        ),
        sa.Column("features", types.json_type(), nullable=True, comment="DDF: Features"),
        sa.Column("pool_features", types.json_type(), nullable=True, comment="PoolFeatures"),
        sa.Column("pool_type", types.json_type(), nullable=True, comment="DDF: PoolType"),
        sa.Column("view", types.json_type(), nullable=True, comment="View"),
        sa.Column(
            "waterfront_features", types.json_type(), nullable=True, comment="WaterfrontFeatures"
        ),
        sa.Column("water_body_name", sa.Text(), nullable=True, comment="WaterBodyName"),
        sa.Column("other_structures", types.json_type(), nullable=True, comment="OtherStructures"),
        sa.Column("other_equipment", types.json_type(), nullable=True, comment="OtherEquipment"),
        sa.Column(
            "rental_equipment_type",
            types.json_type(),
            nullable=True,
            comment="DDF: RentalEquipmentType",
        ),
        sa.Column("storage_type", types.json_type(), nullable=True, comment="DDF: StorageType"),
        sa.Column("road_surface_type", types.json_type(), nullable=True, comment="RoadSurfaceType"),
        sa.Column(
            "irrigation_source", types.json_type(), nullable=True, comment="IrrigationSource"
        ),
        sa.Column(
            "documents_available", types.json_type(), nullable=True, comment="DocumentsAvailable"
        ),
        sa.Column(
            "communication_type", types.json_type(), nullable=True, comment="DDF: CommunicationType"
        ),
        sa.Column("crop", types.json_type(), nullable=True, comment="DDF: Crop"),
        sa.Column("easement", types.json_type(), nullable=True, comment="DDF: Easement"),
        sa.Column("farm_type", types.json_type(), nullable=True, comment="DDF: FarmType"),
        sa.Column(
            "live_stock_type", types.json_type(), nullable=True, comment="DDF: LiveStockType"
        ),
        sa.Column("loading_type", types.json_type(), nullable=True, comment="DDF: LoadingType"),
        sa.Column("machinery", types.json_type(), nullable=True, comment="DDF: Machinery"),
        sa.Column("right_type", types.json_type(), nullable=True, comment="DDF: RightType"),
        sa.Column("sign_type", types.json_type(), nullable=True, comment="DDF: SignType"),
        sa.Column("utilities", types.json_type(), nullable=True, comment="Utilities"),
        sa.Column(
            "utilities_available",
            types.json_type(),
            nullable=True,
            comment="DDF: UtilitiesAvailable; each utility with its description",
        ),
        sa.Column("parking_total", sa.Integer(), nullable=True, comment="ParkingTotal"),
        sa.Column("parking_features", types.json_type(), nullable=True, comment="ParkingFeatures"),
        sa.Column(
            "parking_spaces",
            types.json_type(),
            nullable=True,
            comment="DDF: ParkingSpaces; each kind of parking with its spaces",
        ),
        sa.Column("zoning", sa.Text(), nullable=True, comment="Zoning"),
        sa.Column("zoning_description", sa.Text(), nullable=True, comment="ZoningDescription"),
        sa.Column("municipal_id", sa.Text(), nullable=True, comment="DDF: MunicipalId"),
        sa.Column("plan", sa.Text(), nullable=True, comment="DDF: Plan"),
        sa.Column("number_of_buildings", sa.Integer(), nullable=True, comment="NumberOfBuildings"),
        sa.Column("business_type", types.json_type(), nullable=True, comment="BusinessType"),
        sa.Column(
            "business_sub_type",
            types.json_type(),
            nullable=True,
            comment="DDF: Business/BusinessSubType",
        ),
        sa.Column("business_name", sa.Text(), nullable=True, comment="BusinessName"),
        sa.Column("franchise", sa.Boolean(), nullable=True, comment="DDF: Business/Franchise"),
        sa.Column(
            "year_established",
            sa.Integer(),
            nullable=True,
            comment="YearEstablished; the year in established_date",
        ),
        sa.Column(
            "established_date", sa.Text(), nullable=True, comment="DDF: Business/EstablishedDate"
        ),
        sa.Column(
            "operating_since", sa.Text(), nullable=True, comment="DDF: Business/OperatingSince"
        ),
        sa.Column("photos_count", sa.Integer(), nullable=True, comment="PhotosCount"),
        sa.Column(
            "photos_change_timestamp",
            types.UtcTimestamp(),
            nullable=True,
            comment="PhotosChangeTimestamp; the newest photo's",
        ),
        sa.Column(
            "brochure_link", sa.Text(), nullable=True, comment="DDF: AlternateURL/BrochureLink"
        ),
        sa.Column("map_url", sa.Text(), nullable=True, comment="MapURL"),
        sa.Column("photo_link", sa.Text(), nullable=True, comment="DDF: AlternateURL/PhotoLink"),
        sa.Column("sound_link", sa.Text(), nullable=True, comment="DDF: AlternateURL/SoundLink"),
        sa.Column("video_link", sa.Text(), nullable=True, comment="DDF: AlternateURL/VideoLink"),
        sa.Column(
            "social_media_website", sa.Text(), nullable=True, comment="DDF: SocialMediaWebsite"
        ),
        sa.Column("list_agent_key", sa.Text(), nullable=True, comment="ListAgentKey"),
        sa.Column("list_office_key", sa.Text(), nullable=True, comment="ListOfficeKey"),
        sa.Column("co_list_agent_key", sa.Text(), nullable=True, comment="CoListAgentKey"),
        sa.Column("co_list_office_key", sa.Text(), nullable=True, comment="CoListOfficeKey"),
        sa.Column(
            "source_fields",
            types.json_type(),
            nullable=True,
            comment="rets_pipeline: what no column took, under the source's names",
        ),
        sa.PrimaryKeyConstraint("feed", "listing_key", name=op.f("pk_property")),
        comment="Property; one row for each listing that the server offers",
    )
    op.create_index(
        op.f("ix_property_city_standard_status"),
        "property",
        ["city", "standard_status"],
        unique=False,
    )
    op.create_index(
        op.f("ix_property_feed_modification_timestamp"),
        "property",
        ["feed", "modification_timestamp"],
        unique=False,
    )
    op.create_index(
        op.f("ix_property_latitude_longitude"), "property", ["latitude", "longitude"], unique=False
    )
    op.create_index(op.f("ix_property_list_price"), "property", ["list_price"], unique=False)
    op.create_table(
        "property_member",
        sa.Column(
            "feed",
            sa.Text(),
            nullable=False,
            comment="rets_pipeline: the feed's name in feeds.yaml",
        ),
        sa.Column("listing_key", sa.Text(), nullable=False, comment="ListingKey"),
        sa.Column(
            "order",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="Order; place in the payload, from 1",
        ),
        sa.Column("member_key", sa.Text(), nullable=True, comment="MemberKey"),
        sa.Column("office_key", sa.Text(), nullable=True, comment="OfficeKey"),
        sa.Column(
            "role",
            sa.Text(),
            nullable=True,
            comment="rets_pipeline: ListAgent (the first) or CoListAgent",
        ),
        sa.Column(
            "source_fields",
            types.json_type(),
            nullable=True,
            comment="rets_pipeline: what no column took, under the source's names",
        ),
        sa.Column(
            "uncompared_fields",
            types.json_type(),
            nullable=True,
            comment="rets_pipeline: what no column took, under the source's names",
        ),
        sa.PrimaryKeyConstraint("feed", "listing_key", "order", name=op.f("pk_property_member")),
        comment="The agents of a listing in the payload's order, each with the office named there",
    )
    op.create_index(
        op.f("ix_property_member_feed_member_key"),
        "property_member",
        ["feed", "member_key"],
        unique=False,
    )
    op.create_table(
        "property_rooms",
        sa.Column(
            "feed",
            sa.Text(),
            nullable=False,
            comment="rets_pipeline: the feed's name in feeds.yaml",
        ),
        sa.Column("listing_key", sa.Text(), nullable=False, comment="ListingKey"),
        sa.Column(
            "room_key",
            sa.Text(),
            nullable=False,
            comment="RoomKey; <listing_key>_<place in the payload>",
        ),
        sa.Column("room_type", sa.Text(), nullable=True, comment="RoomType"),
        sa.Column("room_level", sa.Text(), nullable=True, comment="RoomLevel"),
        sa.Column(
            "room_length", sa.Numeric(precision=14, scale=4), nullable=True, comment="RoomLength"
        ),
        sa.Column(
            "room_width", sa.Numeric(precision=14, scale=4), nullable=True, comment="RoomWidth"
        ),
        sa.Column(
            "room_length_width_units", sa.Text(), nullable=True, comment="RoomLengthWidthUnits"
        ),
        sa.Column("room_dimensions", sa.Text(), nullable=True, comment="RoomDimensions"),
        sa.Column("room_description", sa.Text(), nullable=True, comment="RoomDescription"),
        sa.Column(
            "source_fields",
            types.json_type(),
            nullable=True,
            comment="rets_pipeline: what no column took, under the source's names",
        ),
        sa.PrimaryKeyConstraint("feed", "listing_key", "room_key", name=op.f("pk_property_rooms")),
        comment="PropertyRooms; the rooms of a listing",
    )
    op.create_table(
        "pull",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("pull_id", sa.Text(), nullable=False, comment="sorts in the order of requests"),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="master_list, listings, member_master_list, members, and so on",
        ),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="requested, complete (manifest written), applied, failed or abandoned",
        ),
        sa.Column(
            "day",
            sa.Date(),
            nullable=True,
            comment="UTC day of the listings' timestamps; NULL: no listings",
        ),
        sa.Column("archive_prefix", sa.Text(), nullable=False),
        sa.Column("requested_at", types.UtcTimestamp(), nullable=False),
        sa.Column("completed_at", types.UtcTimestamp(), nullable=True),
        sa.Column("applied_at", types.UtcTimestamp(), nullable=True),
        sa.Column(
            "keys_asked", sa.BigInteger(), nullable=True, comment="NULL: every key (master list)"
        ),
        sa.Column("records", sa.BigInteger(), nullable=True),
        sa.Column(
            "bytes", sa.BigInteger(), nullable=True, comment="as received, content-encoding removed"
        ),
        sa.Column("requests", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it failed"),
        sa.Column(
            "replay_since",
            types.UtcTimestamp(),
            nullable=True,
            comment="when a replay asked for it; NULL: none, or it is done",
        ),
        sa.PrimaryKeyConstraint("feed", "pull_id", name=op.f("pk_pull")),
        comment="One download of pages or of a master list, kept in the archive",
    )
    op.create_index("ix_pull_feed_applied_at", "pull", ["feed", "applied_at"], unique=False)
    op.create_index("ix_pull_feed_replay_since", "pull", ["feed", "replay_since"], unique=False)
    op.create_index("ix_pull_feed_state", "pull", ["feed", "state"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("quarantine_id", types.row_number_type(), autoincrement=True, nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("resource_name", sa.Text(), nullable=False, comment="Property, Member or Office"),
        sa.Column(
            "resource_record_key",
            sa.Text(),
            nullable=True,
            comment="NULL: a record without a readable key",
        ),
        sa.Column("pull_id", sa.Text(), nullable=False),
        sa.Column(
            "field", sa.Text(), nullable=False, comment="source path; empty: the whole record"
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("noted_at", types.UtcTimestamp(), nullable=False),
        sa.PrimaryKeyConstraint("quarantine_id", name=op.f("pk_quarantine")),
        comment="Records and values that could not be understood",
    )
    op.create_index(
        "ix_quarantine_feed_record",
        "quarantine",
        ["feed", "resource_name", "resource_record_key"],
        unique=False,
    )
    op.create_table(
        "resource_sync",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("resource_name", sa.Text(), nullable=False, comment="Member or Office"),
        sa.Column("resource_record_key", sa.Text(), nullable=False),
        sa.Column(
            "master_timestamp",
            types.UtcTimestamp(),
            nullable=True,
            comment="in the master list it was fetched by",
        ),
        sa.Column(
            "payload_timestamp", types.UtcTimestamp(), nullable=True, comment="in the record itself"
        ),
        sa.Column("content_hash", sa.Text(), nullable=True),
        sa.Column(
            "pull_id", sa.Text(), nullable=False, comment="the latest pull that asked for it"
        ),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="loaded, quarantined or not_returned"
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "next_attempt",
            types.UtcTimestamp(),
            nullable=True,
            comment="when to ask again; NULL: on a change only",
        ),
        sa.PrimaryKeyConstraint(
            "feed", "resource_name", "resource_record_key", name=op.f("pk_resource_sync")
        ),
        comment="What is held of each member and office, compared with their master lists",
    )
    op.create_table(
        "resource_tombstone",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("resource_name", sa.Text(), nullable=False, comment="Member or Office"),
        sa.Column("resource_record_key", sa.Text(), nullable=False),
        sa.Column(
            "master_pull_id", sa.Text(), nullable=False, comment="the master list without it"
        ),
        sa.Column(
            "gone_at", types.UtcTimestamp(), nullable=False, comment="when that list was requested"
        ),
        sa.Column("last_master_timestamp", types.UtcTimestamp(), nullable=True),
        sa.Column("last_pull_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(
            "feed", "resource_name", "resource_record_key", name=op.f("pk_resource_tombstone")
        ),
        comment="What remains of a member or an office that is gone",
    )
    op.create_index(
        "ix_resource_tombstone_feed_gone_at",
        "resource_tombstone",
        ["feed", "gone_at"],
        unique=False,
    )
    op.create_table(
        "run_ledger",
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster's, or one of our own"),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("software_version", sa.Text(), nullable=False),
        sa.Column("started_at", types.UtcTimestamp(), nullable=False),
        sa.Column("ended_at", types.UtcTimestamp(), nullable=True),
        sa.Column(
            "result",
            sa.Text(),
            nullable=True,
            comment="succeeded, failed or killed; NULL: running, or killed and not noticed yet",
        ),
        sa.Column(
            "lock_name",
            sa.Text(),
            nullable=True,
            comment="that it began with; one run at a time holds it",
        ),
        sa.Column(
            "actions",
            types.json_type(),
            nullable=False,
            comment="what was done, in order, with counts and seconds",
        ),
        sa.PrimaryKeyConstraint("run_id", "feed", name=op.f("pk_run_ledger")),
        comment="One row for each run on a feed",
    )
    op.create_index(
        "ix_run_ledger_feed_started_at", "run_ledger", ["feed", "started_at"], unique=False
    )
    op.create_index(
        "ix_run_ledger_unended",
        "run_ledger",
        ["lock_name"],
        unique=False,
        postgresql_where=sa.text("result IS NULL"),
        sqlite_where=sa.text("result IS NULL"),
    )
    op.create_table(
        "social_media",
        sa.Column(
            "feed",
            sa.Text(),
            nullable=False,
            comment="rets_pipeline: the feed's name in feeds.yaml",
        ),
        sa.Column(
            "resource_name", sa.Text(), nullable=False, comment="ResourceName; Member or Office"
        ),
        sa.Column("resource_record_key", sa.Text(), nullable=False, comment="ResourceRecordKey"),
        sa.Column(
            "order",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="rets_pipeline: place in the payload, from 1",
        ),
        sa.Column("social_media_url_or_id", sa.Text(), nullable=True, comment="SocialMediaUrlOrId"),
        sa.Column("social_media_type", sa.Text(), nullable=True, comment="SocialMediaType"),
        sa.Column("contact_type", sa.Text(), nullable=True, comment="DDF: Website/@ContactType"),
        sa.PrimaryKeyConstraint(
            "feed", "resource_name", "resource_record_key", "order", name=op.f("pk_social_media")
        ),
        comment="SocialMedia; the websites of members and offices",
    )
    op.create_table(
        "tombstone",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("listing_key", sa.Text(), nullable=False),
        sa.Column(
            "master_pull_id", sa.Text(), nullable=False, comment="the master list without it"
        ),
        sa.Column(
            "gone_at", types.UtcTimestamp(), nullable=False, comment="when that list was requested"
        ),
        sa.Column("last_master_timestamp", types.UtcTimestamp(), nullable=True),
        sa.Column("last_pull_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("feed", "listing_key", name=op.f("pk_tombstone")),
        comment="What remains of a listing that is gone",
    )
    op.create_index("ix_tombstone_feed_gone_at", "tombstone", ["feed", "gone_at"], unique=False)
    operations.create_view(
        "current_listings",
        """
    SELECT
        p.feed, p.listing_key, p.listing_id, p.list_aor_key, p.standard_status,
        p.property_type, p.property_sub_type, p.transaction_type, p.modification_timestamp,
        p.listing_contract_date, p.listing_url, p.list_price, p.price_per_time,
        p.price_per_unit, p.lease_amount, p.lease_amount_frequency, p.lease_per_unit,
        p.existing_lease_type, p.lease_term_remaining, p.lease_term_remaining_freq,
        p.association_fee, p.association_fee_frequency, p.association_fee_includes,
        p.association_name, p.ownership, p.public_remarks, p.location_description,
        p.additional_information_indicator, p.unparsed_address, p.street_address,
        p.address_line1, p.address_line2, p.street_number, p.street_dir_prefix, p.street_name,
        p.street_suffix, p.street_dir_suffix, p.street_additional_info, p.unit_number,
        p.box_number, p.city, p.state_or_province, p.postal_code, p.country, p.city_region,
        p.community_name, p.subdivision_name, p.latitude, p.longitude,
        p.property_time_zone_name, p.structure_type, p.architectural_style,
        p.construction_status, p.construction_style_attachment, p.construction_style_other,
        p.construction_style_split_level, p.construction_materials, p.exterior_finish,
        p.bedrooms_total, p.bedrooms_above_grade, p.bedrooms_below_grade,
        p.bathrooms_total_integer, p.bathrooms_partial, p.stories, p.year_built,
        p.year_built_effective, p.renovated_date, p.age, p.unit_type, p.size_exterior,
        p.size_exterior_units, p.living_area, p.living_area_units, p.size_interior_finished,
        p.size_interior_finished_units, p.total_finished_area, p.total_finished_area_units,
        p.basement, p.basement_development, p.basement_features, p.appliances,
        p.building_features, p.heating, p.heating_fuel, p.cooling, p.fireplace_yn,
        p.fireplaces_total, p.fireplace_features, p.fireplace_fuel, p.fixture, p.flooring,
        p.foundation_details, p.roof, p.roof_style, p.security_features, p.electric,
        p.water_source, p.amperage, p.ceiling_height, p.ceiling_height_units, p.ceiling_type,
        p.clear_ceiling_height, p.store_front, p.anchors_co_tenants, p.vacancy_rate,
        p.boma_rating, p.energuide_rating, p.leeds_category, p.leeds_rating, p.uffi,
        p.lot_size_area, p.lot_size_units, p.lot_size_acres, p.lot_size_square_feet,
        p.lot_size_dimensions, p.lot_size_irregular, p.frontage_length,
        p.frontage_length_numeric, p.frontage_length_numeric_units, p.size_depth,
        p.size_depth_units, p.acreage, p.divisible, p.cleared_total, p.cleared_total_units,
        p.pasture_area, p.farm_land_area_units, p.tiled_total, p.tiled_total_units,
        p.fence_total, p.fence_total_units, p.fencing, p.sewer, p.access_type, p.current_use,
        p.landscape_features, p.land_amenities, p.topography, p.fronts_on, p.land_disposition,
        p.soil_evaluation, p.soil_type, p.surface_water, p.amenities_near_by,
        p.community_features, p.features, p.pool_features, p.pool_type, p.view,
        p.waterfront_features, p.water_body_name, p.other_structures, p.other_equipment,
        p.rental_equipment_type, p.storage_type, p.road_surface_type, p.irrigation_source,
        p.documents_available, p.communication_type, p.crop, p.easement, p.farm_type,
        p.live_stock_type, p.loading_type, p.machinery, p.right_type, p.sign_type,
        p.utilities, p.utilities_available, p.parking_total, p.parking_features,
        p.parking_spaces, p.zoning, p.zoning_description, p.municipal_id, p.plan,
        p.number_of_buildings, p.business_type, p.business_sub_type, p.business_name,
        p.franchise, p.year_established, p.established_date, p.operating_since,
        p.photos_count, p.photos_change_timestamp, p.brochure_link, p.map_url, p.photo_link,
        p.sound_link, p.video_link, p.social_media_website, p.list_agent_key,
        p.list_office_key, p.co_list_agent_key, p.co_list_office_key, p.source_fields,
        a.member_full_name AS list_agent_full_name,
        o.office_name AS list_office_name,
        CASE
            WHEN COALESCE(l.payload_coordinates, 'accepted') = 'accepted' THEN p.latitude
            ELSE g.latitude
        END AS located_latitude,
        CASE
            WHEN COALESCE(l.payload_coordinates, 'accepted') = 'accepted' THEN p.longitude
            ELSE g.longitude
        END AS located_longitude,
        CASE
            WHEN NOT COALESCE(l.payload_coordinates, 'accepted') = 'accepted' THEN g.provider
            WHEN p.latitude IS NOT NULL THEN 'payload'
        END AS located_by,
        g.precision AS located_precision,
        i.media_key AS first_image_media_key,
        i.media_url AS first_image_url,
        COALESCE(
            (
                SELECT f.blob_key FROM media_file f
                WHERE f.feed = i.feed AND f.resource_name = 'Property'
                    AND f.resource_record_key = i.listing_key AND f.media_key = i.media_key
                    AND f.blob_key IS NOT NULL AND f.held_token = i.change_token
                ORDER BY CASE f.size WHEN 'large' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END LIMIT 1
            ),
            (
                SELECT f.blob_key FROM media_file f
                WHERE f.feed = i.feed AND f.resource_name = 'Property'
                    AND f.resource_record_key = i.listing_key AND f.media_key = i.media_key
                    AND f.blob_key IS NOT NULL
                ORDER BY CASE f.size WHEN 'large' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END LIMIT 1
            )
        ) AS first_image_blob_key
    FROM property p
    LEFT JOIN member a ON a.feed = p.feed AND a.member_key = p.list_agent_key
    LEFT JOIN office o ON o.feed = p.feed AND o.office_key = p.list_office_key
    LEFT JOIN address_sync l ON l.feed = p.feed AND l.listing_key = p.listing_key
        AND l.seen = COALESCE(CAST(p.street_number AS TEXT), '') || '|'
            || COALESCE(CAST(p.street_dir_prefix AS TEXT), '') || '|'
            || COALESCE(CAST(p.street_name AS TEXT), '') || '|'
            || COALESCE(CAST(p.street_suffix AS TEXT), '') || '|'
            || COALESCE(CAST(p.street_dir_suffix AS TEXT), '') || '|'
            || COALESCE(CAST(p.unit_number AS TEXT), '') || '|'
            || COALESCE(CAST(p.street_address AS TEXT), '') || '|'
            || COALESCE(CAST(p.city AS TEXT), '') || '|'
            || COALESCE(CAST(p.state_or_province AS TEXT), '') || '|'
            || COALESCE(CAST(p.postal_code AS TEXT), '') || '|'
            || COALESCE(CAST(p.latitude AS TEXT), '') || '|'
            || COALESCE(CAST(p.longitude AS TEXT), '')
    LEFT JOIN geocode g ON g.address_hash = l.address_hash
        AND NOT COALESCE(l.payload_coordinates, 'accepted') = 'accepted'
    LEFT JOIN media i ON i.feed = p.feed AND i.media_key = (
        SELECT m.media_key FROM media m
        WHERE m.feed = p.feed AND m.listing_key = p.listing_key
        ORDER BY CASE WHEN m."order" IS NULL THEN 2 ELSE 1 END, m."order", m.media_key
        LIMIT 1
    )
    """,
    )
    operations.create_view(
        "listing_photos",
        """
    SELECT
        m.feed, m.listing_key, m.media_key, m."order", m.preferred_photo_yn, m.long_description,
        m.media_modification_timestamp, f.size, f.width, f.height, f.content_type, f.bytes,
        f.content_hash, f.blob_key, b.base_url || f.blob_key AS media_url_mirror,
        CASE WHEN f.held_token = m.change_token THEN 1 ELSE 0 END AS is_current
    FROM media m
    JOIN media_file f ON f.feed = m.feed AND f.resource_name = 'Property'
        AND f.resource_record_key = m.listing_key AND f.media_key = m.media_key
        AND f.blob_key IS NOT NULL
    LEFT JOIN media_base_url b ON b.feed = m.feed
    """,
    )
    operations.create_view(
        "member_photos",
        """
    SELECT
        r.feed, r.member_key, f.size, f.width, f.height, f.content_type, f.bytes,
        f.content_hash, f.blob_key, b.base_url || f.blob_key AS media_url_mirror,
        CASE WHEN f.held_token = r.photo_change_token THEN 1 ELSE 0 END AS is_current
    FROM member r
    JOIN media_file f ON f.feed = r.feed AND f.resource_name = 'Member'
        AND f.resource_record_key = r.member_key AND f.media_key = r.member_key
        AND f.blob_key IS NOT NULL
    LEFT JOIN media_base_url b ON b.feed = r.feed
    """,
    )
    operations.create_view(
        "office_logos",
        """
    SELECT
        r.feed, r.office_key, f.size, f.width, f.height, f.content_type, f.bytes,
        f.content_hash, f.blob_key, b.base_url || f.blob_key AS media_url_mirror,
        CASE WHEN f.held_token = r.logo_change_token THEN 1 ELSE 0 END AS is_current
    FROM office r
    JOIN media_file f ON f.feed = r.feed AND f.resource_name = 'Office'
        AND f.resource_record_key = r.office_key AND f.media_key = r.office_key
        AND f.blob_key IS NOT NULL
    LEFT JOIN media_base_url b ON b.feed = r.feed
    """,
    )


def downgrade() -> None:
    """Take the schema back to the revision before."""
    operations.drop_view("office_logos")
    operations.drop_view("member_photos")
    operations.drop_view("listing_photos")
    operations.drop_view("current_listings")
    op.drop_index("ix_tombstone_feed_gone_at", table_name="tombstone")
    op.drop_table("tombstone")
    op.drop_table("social_media")
    op.drop_index(
        "ix_run_ledger_unended",
        table_name="run_ledger",
        postgresql_where=sa.text("result IS NULL"),
        sqlite_where=sa.text("result IS NULL"),
    )
    op.drop_index("ix_run_ledger_feed_started_at", table_name="run_ledger")
    op.drop_table("run_ledger")
    op.drop_index("ix_resource_tombstone_feed_gone_at", table_name="resource_tombstone")
    op.drop_table("resource_tombstone")
    op.drop_table("resource_sync")
    op.drop_index("ix_quarantine_feed_record", table_name="quarantine")
    op.drop_table("quarantine")
    op.drop_index("ix_pull_feed_state", table_name="pull")
    op.drop_index("ix_pull_feed_replay_since", table_name="pull")
    op.drop_index("ix_pull_feed_applied_at", table_name="pull")
    op.drop_table("pull")
    op.drop_table("property_rooms")
    op.drop_index(op.f("ix_property_member_feed_member_key"), table_name="property_member")
    op.drop_table("property_member")
    op.drop_index(op.f("ix_property_list_price"), table_name="property")
    op.drop_index(op.f("ix_property_latitude_longitude"), table_name="property")
    op.drop_index(op.f("ix_property_feed_modification_timestamp"), table_name="property")
    op.drop_index(op.f("ix_property_city_standard_status"), table_name="property")
    op.drop_table("property")
    op.drop_table("other_phone")
    op.drop_table("open_house")
    op.drop_table("office")
    op.drop_table("member")
    op.drop_index("ix_media_file_feed_state", table_name="media_file")
    op.drop_index("ix_media_file_feed_next_attempt", table_name="media_file")
    op.drop_index("ix_media_file_feed_blob_key", table_name="media_file")
    op.drop_table("media_file")
    op.drop_table("media_base_url")
    op.drop_index(op.f("ix_media_feed_listing_key"), table_name="media")
    op.drop_table("media")
    op.drop_index("ix_listing_sync_feed_state", table_name="listing_sync")
    op.drop_table("listing_sync")
    op.drop_index("ix_history_transactional_feed_record", table_name="history_transactional")
    op.drop_table("history_transactional")
    op.drop_table("geocode_provider")
    op.drop_index("ix_geocode_answer_next_attempt", table_name="geocode_answer")
    op.drop_table("geocode_answer")
    op.drop_table("geocode")
    op.drop_index("ix_address_sync_address_hash", table_name="address_sync")
    op.drop_table("address_sync")
    op.drop_table("address_judgement")
