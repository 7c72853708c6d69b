"""The values of DDF's lookups, as far as the sandbox uses them.

What belongs here: names and values, and the pick of some of them. What does not: which element
uses which lookup (``listing``), and how metadata is written (``metadata``).
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from rets_pipeline.sandbox.places import PLACES

#: DDF: sixteen values hold commas; a plain split of a list of values breaks them.
_OTHER = "Other, See Remarks"

PROPERTY: dict[str, tuple[str, ...]] = {
    "AccessType": ("Easy access", "Highway access", "Road access", "Boat access", "Water access"),
    "Amenities": (
        *("Storage - Locker", "Laundry - In Suite", "Exercise Centre", "Party Room", "Sauna"),
        *("Recreation Centre", "Security/Concierge", "Guest Suite", "Shared Laundry"),
    ),
    "AmenitiesNearby": (
        *("Golf Course", "Shopping", "Recreation", "Schools", "Park", "Public Transit"),
        *("Hospital", "Marina", "Ski area", "Airport", "Place of Worship"),
    ),
    "Amperage": ("100 Amp", "200 Amp", "400 Amp", "600 Amp"),
    "Appliances": (
        *("All", "Dishwasher", "Dryer", "Refrigerator", "Stove", "Washer", "Microwave"),
        *("Oven - Built-In", "Central Vacuum", "Hood Fan", "Garage door opener", "Hot Tub"),
    ),
    "ArchitecturalStyle": (
        *("2 Level", "Bungalow", "Ranch", "Basement entry", "Carriage", "3 Level"),
        *("Other", "Raised bungalow", "Cottage", "Character"),
    ),
    "BasementDevelopment": ("Finished", "Unfinished", "Partially finished", "Unknown", _OTHER),
    "BasementFeatures": ("Separate entrance", "Walk out", "Walk-up", "Suite", "Unknown"),
    "BasementType": ("Full", "Crawl space", "Partial", "None", "Unknown"),
    "Boards": tuple(
        # Some boards' names hold a comma, as the real list's do.
        f"Real Estate Board of {place.city}"
        + (f", {place.province}" if place.index % 7 == 3 else "")
        for place in PLACES
    ),
    "BuildingType": (
        *("House", "Apartment", "Row / Townhouse", "Duplex", "Manufactured Home", "Commercial Mix"),
        *("Offices", "Retail", "Warehouse", "Mobile Home", "Triplex", "Residential"),
    ),
    "BusinessSubType": ("Restaurant", "Hair salon", "Convenience store", "Marina/Resort"),
    "BusinessType": (
        *("Agriculture, Forestry, Fishing and Hunting", "Accommodation and food", "Retail"),
        *("Personal Services", "Arts, Entertainment and Recreation", "Other"),
    ),
    "CeilingType": ("Suspended", "Open", "Wood", "Unknown"),
    "ClearCeilingHeight": ("Under 10 feet", "10 to 14 feet", "Over 24 feet"),
    "CommunicationType": ("High Speed Internet", "Fiber", "Internet Access", "No Communication"),
    "CommunityFeatures": (
        *("Pets Allowed", "Pets Allowed With Restrictions", "Rentals Allowed", "Family Oriented"),
        *("Adult Oriented", "Quiet Area", "School Bus", "Community Centre"),
    ),
    "ConstructionMaterial": (
        "Wood frame",
        "Concrete block",
        "Poured concrete",
        "Log",
        "Steel frame",
    ),
    "ConstructionStatus": (
        "Insulation upgraded",
        "Under Construction",
        "New building",
        "Completed",
    ),
    "ConstructionStyleAttachment": ("Detached", "Attached", "Semi-detached", "Link", "Stacked"),
    "ConstructionStyleOther": ("Seasonal", "Manufactured", "Modular"),
    "ConstructionStyleSplitLevel": ("Sidesplit", "Backsplit", "Split entry"),
    "CoolingType": (
        "Air Conditioned",
        "Central air conditioning",
        "Heat Pump",
        "Window unit",
        "None",
    ),
    "Crop": ("Alfalfa", "Apples", "Barley", "Cherries", "Hay", "Mixed"),
    "CurrentUse": ("Agriculture", "Commercial", "Residential", "Recreational", "Orchard"),
    "DocumentType": ("Aerial Photos", "Survey", "Soil Tests"),
    "Easement": ("Right of way", "Sub Surface Rights", "None", "Flood Plain"),
    "EquipmentType": ("Water Heater", "Propane Tank", "Water Softener", "None"),
    "ExteriorFinish": (
        "Brick",
        "Vinyl siding",
        "Stucco",
        "Stone",
        "Wood siding",
        "Aluminum siding",
    ),
    "FarmType": ("Cash Crop", "Orchard", "Hobby Farm", "Mixed"),
    "Features": (
        *("Central location", "Cul-de-sac", "Private setting", "Treed", "Balcony", "Elevator"),
        *("Corner Site", "Level lot", "Irregular lot size", "Wheelchair access", "Pool", "Jacuzzi"),
        *("Paved driveway", "No Smoking Home", "In suite Laundry", "Rolling", "Sloping", "Other"),
    ),
    "FenceType": ("Fence", "Partially fenced", "Cross fenced", "Not fenced"),
    "FireProtection": ("Smoke Detectors", "Sprinkler System-Fire", "Security system", "Unknown"),
    "FireplaceFuel": ("Gas", "Wood", "Electric", "Propane", "Pellet"),
    "FireplaceType": ("Conventional", "Insert", "Woodstove", "Decorative", "Unknown"),
    "Fixture": ("Drapes/Window coverings", "Ceiling fans", "TV antenna"),
    "FlooringType": ("Carpeted", "Hardwood", "Laminate", "Tile", "Vinyl", "Ceramic", "Cork"),
    "FoundationType": ("Block", "Concrete", "Poured Concrete", "Stone", "Wood", "Unknown"),
    "FrontsOn": ("North", "South", "East", "West"),
    # DDF: this one lookup's name holds a blank, its element's does not.
    "Heating Type": (
        *("Forced air", "Baseboard heaters", "Heat Pump", "Radiant heat", "Hot Water", "Stove"),
        *("In Floor Heating", "Other"),
    ),
    "HeatingFuel": ("Natural gas", "Electric", "Oil", "Propane", "Wood", "Geo Thermal"),
    "IrrigationType": ("Sprinkler", "Drip Irrigation", "Pivot"),
    "LandDispositionType": ("Cleared", "Bush", "Fenced", "Cultivated"),
    "LandscapeFeatures": (
        "Garden Area",
        "Landscaped",
        "Lawn",
        "Underground sprinkler",
        "Fruit trees",
    ),
    "LeaseType": ("Gross Lease", "Net", "Triple Net", _OTHER),
    "LiveStockType": ("Beef", "Dairy", "Horse", "Poultry", "Sheep"),
    "LoadingType": ("Loading dock", "Grade level", "Truck well"),
    "Machinery": ("Combine", "Tractor", "Irrigation Equipment"),
    "MaintenanceFeeType": (
        *(
            "Insurance",
            "Ground Maintenance",
            "Heat",
            "Water",
            "Property Management",
            "Waste Removal",
        ),
        *("Reserve Fund Contributions", _OTHER),
    ),
    "MeasureUnit": ("square feet", "feet", "square meters", "meters", "acres", "hectares"),
    "OwnershipType": (
        *("Freehold", "Strata", "Condominium", "Leasehold", "Leasehold/Freehold", "Cooperative"),
        _OTHER,
    ),
    "ParkingType": (
        *(
            "Attached Garage",
            "Detached Garage",
            "Garage",
            "Carport",
            "Underground",
            "Visitor Parking",
        ),
        *("Open", "RV", "Street", "Parking Pad", "Surfaced", "None"),
    ),
    "PaymentUnit": (
        *("Daily", "Weekly", "Bi-weekly", "Monthly", "Bi-monthly", "Quarterly", "Yearly", "Fixed"),
        *("Unknown", "Seasonal"),
    ),
    "PoolFeatures": ("Solar cover", "Salt Water Pool", "Pool equipment"),
    "PoolType": ("Indoor pool", "Inground pool", "Outdoor pool", "Above ground pool", "Pool"),
    "PropertyType": (
        *("Single Family", "Recreational", "Agriculture", "Vacant Land", "Office", "Retail"),
        *("Business", "Industrial", "Parking", "Institutional - Special Purpose", "Multi-family"),
        *("Other", "Hospitality"),
    ),
    "RentalEquipmentType": ("Water Heater", "Propane Tank", "Furnace", "None"),
    "RightType": ("Air", "Mineral", "Water Rights"),
    "RoadType": ("Paved road", "Gravel road", "No thru road", "Access Road"),
    "RoofMaterial": ("Asphalt shingle", "Cedar shake", "Metal", "Tile", "Tar & gravel", "Unknown"),
    "RoofStyle": ("Conventional", "Unknown", "Mansard"),
    "RoomLevel": (
        *(
            "Main level",
            "Second level",
            "Third level",
            "Basement",
            "Lower level",
            "Above",
            "Unknown",
        ),
    ),
    "RoomType": (
        *("Living room", "Dining room", "Kitchen", "Primary Bedroom", "Bedroom", "4pc Bathroom"),
        *(
            "2pc Bathroom",
            "Family room",
            "Recreational, Games room",
            "Laundry room",
            "Den",
            "Foyer",
        ),
        *("Other", "Storage", "Workshop", "Full bathroom", "Partial bathroom"),
    ),
    "Sewer": ("Municipal sewage system", "Septic System", "Septic tank", "Holding Tank"),
    "SignType": ("Fascia", "Pylon", "None"),
    "SoilEvaluationType": ("Good", "Fair", "Suitable"),
    "SoilType": ("Clay", "Loam", "Mixed soil", "Sand", "Gravel"),
    "StorageType": ("Storage", "Locker", "Storage Shed", "Cold Room"),
    "StoreFront": ("Street exposure", "Mall exposure"),
    "StructureType": ("Deck", "Patio(s)", "Shed", "Porch", "Greenhouse", "Workshop", "Clubhouse"),
    "SurfaceWater": ("Creek or Stream", "Creeks", "Dugout", "Ponds"),
    "TopographyType": ("Flat site", "Gently sloping", "Wooded area", "Ravine", "Hilly"),
    "TransactionType": ("For sale or rent", "For sale", "For rent", "For lease"),
    "UffiCodes": ("Completely Removed", "No", "Partially Removed", "Yes", "Unknown"),
    "UtilityPower": ("Single Phase", "Three Phase", "Available"),
    "UtilityType": ("Cable", "Electricity", "Natural Gas", "Sewer", "Telephone", "Water"),
    "UtilityWater": (
        "Municipal water",
        "Drilled Well",
        "Well",
        "Lake/River Water Intake",
        "Cistern",
    ),
    "ViewType": (
        *(
            "City view",
            "Lake view",
            "Mountain view",
            "Ocean view",
            "River view",
            "Valley view",
            "View",
        ),
    ),
    "WaterFrontType": (
        *("Waterfront on lake", "Waterfront on river", "Waterfront, Road Between", "Other"),
        "Waterfront on ocean",
    ),
    "ZoningType": ("Residential", "Commercial", "Agricultural", "Multi-Family", "Unknown"),
}
AGENT: dict[str, tuple[str, ...]] = {
    "Boards": PROPERTY["Boards"],
    "IndividualDesignations": ("ABR", "CCIM", "CNE, Certified Negotiation Expert", "FRI", "SRES"),
    "Languages": ("English", "French", "Italian", "Mandarin", "Punjabi", "Spanish", "Tagalog"),
    "Specialties": ("Residential", "Condominiums", "Farm / Ranch", "Recreational", "Relocation"),
}
OFFICE: dict[str, tuple[str, ...]] = {
    "Boards": PROPERTY["Boards"],
    "Franchisor": ("Northern Franchise Realty", "Maple & Main", "Coast to Coast Homes"),
    "OrganizationDesignations": ("Brokerage", "Franchise Office"),
    "OrganizationType": ("Firm", "Branch Office", "Head Office"),
}
RESOURCES = {"Property": PROPERTY, "Agent": AGENT, "Office": OFFICE}

#: numbers that CREA's document gives; all other values are numbered from 1
_NUMBERS = {
    "MeasureUnit": (1, 2, 4, 5, 7, 10),
    "PropertyType": tuple(range(300, 313)),
    "Boards": tuple(place.board for place in PLACES),
}


def numbered(lookup: str, values: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """The values of a lookup with their numbers."""
    return zip(_NUMBERS.get(lookup, range(1, len(values) + 1)), values, strict=True)


def one(random: Random, lookup: str) -> str:
    """One value."""
    return random.choice(PROPERTY[lookup])


def some(random: Random, lookup: str, most: int) -> str:
    """One or more values in DDF's form: joined by a comma and a blank."""
    values = PROPERTY[lookup]
    return ", ".join(random.sample(values, random.randint(1, min(most, len(values)))))
