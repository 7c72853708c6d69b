"""DDF records for tests, written from the documentation. Every name in them is invented.

What belongs here: XML as DDF sends it. What does not: the sandbox's generator, of which this is
independent on purpose.
"""

from __future__ import annotations

from lxml import etree

NAMESPACE = "urn:CREA.Search.Property"

ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?><RETS ReplyCode="0" ReplyText="Operation Successful">'
    '<COUNT Records="{count}" /><RETS-RESPONSE xmlns="' + NAMESPACE + '"><Pagination>'
    "<TotalRecords>{count}</TotalRecords><Limit>100</Limit><Offset>1</Offset>"
    "<TotalPages>1</TotalPages><RecordsReturned>{count}</RecordsReturned></Pagination>"
    "{records}</RETS-RESPONSE></RETS>"
)

OFFICE = """\
<Office ID="90001" LastUpdated="Wed, 13 Mar 2024 14:32:55 GMT"><Name>Example Realty Ltd.</Name>\
<LogoLastUpdated>Wed, 13 Mar 2024 14:32:55 GMT</LogoLastUpdated><Logo><ThumbnailURL>\
https://ddfcdn.realtor.ca/organization/en-ca/TS638459335750000000/lowres/90001.jpg</ThumbnailURL>\
<LastUpdated>Wed, 13 Mar 2024 14:32:55 GMT</LastUpdated></Logo>\
<OrganizationType>Firm</OrganizationType><Address><StreetAddress>10 Example Street|Suite 200\
</StreetAddress><AddressLine1>10 Example Street</AddressLine1><City>Kelowna</City><Province>\
British Columbia</Province><PostalCode>V1Y0A1</PostalCode></Address><Phones>\
<Phone ContactType="Business" PhoneType="Telephone">(250) 555-0100</Phone>\
<Phone ContactType="Business" PhoneType="Fax">(250) 555-0101</Phone></Phones><Websites>\
<Website ContactType="Business" WebsiteType="Website">http://office.example.com/</Website>\
</Websites><Franchisor>Example Franchise</Franchisor></Office>"""

AGENT = """\
<AgentDetails ID="{agent}"><Name>{name}</Name><Position>Personal Real Estate Corporation</Position>\
<PhotoLastUpdated>Tue, 05 Mar 2024 01:00:00 GMT</PhotoLastUpdated><Phones>\
<Phone ContactType="Business" PhoneType="Telephone">(250) 555-0199</Phone></Phones><Websites>\
<Website ContactType="Business" WebsiteType="FaceBook">https://facebook.example.com/a</Website>\
</Websites><Designations><Designation>Graduate of Examples</Designation></Designations>\
{office}</AgentDetails>"""

PHOTO = """\
<PropertyPhoto><SequenceId>{n}</SequenceId><Description />\
<LastUpdated>Wed, 04 Sep 2024 00:40:00 GMT</LastUpdated>\
<PhotoLastUpdated>Sun, 10 Mar 2024 01:40:{n:02} GMT</PhotoLastUpdated><ThumbnailURL>\
https://ddfcdn.realtor.ca/listings/TS6384564600{n:02}130000/reb20/lowres/5/10306{n}.jpg</ThumbnailURL>\
<PhotoURL>https://ddfcdn.realtor.ca/listings/TS6384564600{n:02}130000/reb20/medres/5/10306{n}.jpg\
</PhotoURL><LargePhotoURL>\
https://ddfcdn.realtor.ca/listings/TS6384564600{n:02}130000/reb20/highres/5/10306{n}.jpg\
</LargePhotoURL></PropertyPhoto>"""

LISTING = """\
<PropertyDetails{namespace} ID="{key}" LastUpdated="Wed, 13 Mar 2024 14:33:02 GMT">\
<ListingID>10306975</ListingID>{agents}<Board>20</Board><Business><Franchise /></Business>\
<Building><BathroomTotal>3</BathroomTotal><BedroomsTotal>4</BedroomsTotal>\
<Appliances>Refrigerator, Dishwasher, Dryer, Washer, Microwave</Appliances>\
<ArchitecturalStyle>Ranch</ArchitecturalStyle><BasementDevelopment>Unfinished</BasementDevelopment>\
<BasementFeatures>Separate entrance</BasementFeatures>\
<BasementType>Full (Unfinished)</BasementType>\
<ConstructedDate>1996</ConstructedDate>\
<ConstructionStyleAttachment>Detached</ConstructionStyleAttachment>\
<CoolingType>Central air conditioning</CoolingType><FireplacePresent>True</FireplacePresent>\
<FireplaceTotal>1</FireplaceTotal><HalfBathTotal>1</HalfBathTotal>\
<HeatingFuel>Natural gas, Electric</HeatingFuel><HeatingType>Forced air, Baseboard heaters\
</HeatingType><Rooms><Room><Type>Recreational, Games room</Type><Width /><Level>Basement</Level>\
<Length>14 ft ,6 in</Length><Dimension>14'6'' x 12'</Dimension></Room><Room><Type>Kitchen</Type>\
<Width>3.2 m</Width><Level>Main level</Level><Length>4.1 m</Length><Dimension>4-Piece</Dimension>\
</Room></Rooms><StoriesTotal>1.5</StoriesTotal><SizeInterior>2732 sqft</SizeInterior>\
<Type>House</Type><UtilityWater>Municipal water</UtilityWater></Building><Land>\
<SizeTotal>7841 sqft</SizeTotal><SizeTotalText>78 x 95.5</SizeTotalText>\
<SizeFrontage>46 ft ,2 in</SizeFrontage><Acreage>false</Acreage>\
<Amenities>Park, Schools</Amenities>\
<FenceTotal /><LandscapeFeatures>Landscaped, Underground sprinkler</LandscapeFeatures>\
<SizeIrregular>78 x 95.5</SizeIrregular></Land><Address><StreetAddress>205 Example Road\
</StreetAddress><AddressLine1>205 Example Road</AddressLine1><StreetNumber>205</StreetNumber>\
<StreetName>Example</StreetName><StreetSuffix>Road</StreetSuffix><City>Kelowna</City>\
<Province>British Columbia</Province><PostalCode>V1Y0A1</PostalCode><Country>Canada</Country>\
<Neighbourhood>Glenmore</Neighbourhood><Latitude>49.8876543</Latitude>\
<Longitude>-119.4961234</Longitude></Address><AlternateURL>\
<VideoLink>https://video.example.com/tour/1</VideoLink></AlternateURL>\
<AmmenitiesNearBy>Park, Schools</AmmenitiesNearBy><CommunityFeatures>Family Oriented\
</CommunityFeatures><Features>Cul-de-sac, Level lot</Features>\
<ListingContractDate>2024-03-08</ListingContractDate><MaintenanceFee>312.50</MaintenanceFee>\
<MaintenanceFeePaymentUnit>Monthly</MaintenanceFeePaymentUnit>\
<MaintenanceFeeType>Other, See Remarks, Water</MaintenanceFeeType>\
<MunicipalId>217-00123</MunicipalId>\
<OpenHouse><Event><StartDateTime>17/03/2024 02:00:00 PM</StartDateTime><EndDateTime>\
17/03/2024 04:00:00 PM</EndDateTime><Comments>Refreshments</Comments></Event></OpenHouse>\
<OwnershipType>Freehold</OwnershipType><ParkingSpaces><Parking><Name>Attached Garage</Name>\
<Spaces>2</Spaces></Parking><Parking><Name>RV</Name></Parking></ParkingSpaces>\
<ParkingSpaceTotal>6</ParkingSpaceTotal><Photo>{photos}</Photo><Price>699000.00</Price>\
<PropertyType>Single Family</PropertyType><PublicRemarks>{remarks}</PublicRemarks>\
<Structure>Shed</Structure><TransactionType>For sale</TransactionType><UtilitiesAvailable />\
<ViewType>Lake view, Mountain view</ViewType><WaterFrontType>Waterfront, Road Between\
</WaterFrontType><ZoningType>Unknown</ZoningType><MoreInformationLink>\
https://www.realtor.ca/real-estate/26612345/205-example-road-kelowna</MoreInformationLink>\
</PropertyDetails>"""

REMARKS = (
    "A bright four bedroom home close to the lake &amp; the school, with a garden, a shed and "
    "room for a boat. Façade refaite en 2019. "
)


def agent(key: int = 80001, name: str = "Alex Example", office: str = OFFICE) -> str:
    """One ``AgentDetails``."""
    return AGENT.format(agent=key, name=name, office=office)


def photos(numbers: int) -> str:
    """``PropertyPhoto`` elements numbered from 1."""
    return "".join(PHOTO.format(n=number) for number in range(1, numbers + 1))


def listing(
    key: str = "26612345",
    *,
    agents: str | None = None,
    photos: str | None = None,
    namespace: bool = True,
) -> str:
    """One ``PropertyDetails`` of the year 2024's shape."""
    return LISTING.format(
        key=key,
        agents=agent() + agent(80002, "Kim Example") if agents is None else agents,
        photos="".join(PHOTO.format(n=number) for number in (1, 2, 3))
        if photos is None
        else photos,
        remarks=REMARKS,
        namespace=f' xmlns="{NAMESPACE}"' if namespace else "",
    )


def element(xml: str) -> etree._Element:
    """A record as the client hands it out."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    return etree.fromstring(xml.encode(), parser)


def answer(records: list[str]) -> bytes:
    """A whole answer with those records in it."""
    return ENVELOPE.format(count=len(records), records="".join(records)).encode()
