"""Agents and offices as DDF's STANDARD-XML writes them, inside listings and by themselves.

What belongs here: names, order and quirks of their elements. What does not: the envelope
(``search``), and facts (``people``).
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from rets_pipeline.sandbox.clock import eastern_year_first, rfc1123, ticks
from rets_pipeline.sandbox.details import Fields
from rets_pipeline.sandbox.elements import container, element, several, values
from rets_pipeline.sandbox.people import Agent, Office, Phone, Website
from rets_pipeline.sandbox.photos import logo_path, portrait_path

#: DDF: what a listing tells of an office's address
_HEAD_OF_ADDRESS = ("StreetAddress", "AddressLine1", "City", "Province", "PostalCode")


@dataclass(frozen=True, slots=True)
class Manner:
    """How people are written.

    Attributes:
        base_url: scheme and host that images are served from.
        is_old: as in 2019.
    """

    base_url: str
    is_old: bool = False


def agent_details(agent: Agent, base_url: str) -> str:
    """One ``AgentDetails`` of an Agent search: more than a listing tells of its agents."""
    return _whole_agent(agent, agent.office.updated, Manner(base_url))


def office_details(office: Office, base_url: str) -> str:
    """One ``OfficeDetails`` of an Office search; its times are the office's and the logo's own."""
    times = office.updated, office.logo_updated
    return _office("OfficeDetails", office, times, Manner(base_url), tuple(office.address))


def agent_of_listing(agent: Agent, listing_updated: int, manner: Manner) -> str:
    """One ``AgentDetails`` of a listing."""
    # DDF: an office's times in a listing follow the listing's, up to a minute off.
    office_updated = listing_updated - agent.office.office_id % 60
    if manner.is_old:
        return _whole_agent(agent, office_updated, manner)
    photo = None if agent.photo_updated is None else rfc1123(agent.photo_updated)
    times = office_updated, office_updated
    return (
        f'<AgentDetails ID="{agent.agent_id}">'
        + element("Name", agent.name)
        + element("Position", agent.position)
        + several("Websites", agent.websites, _website)
        # A listing gives one number of an agent.
        + several("Phones", agent.phones[:1], _phone)
        + _office("Office", agent.office, times, manner, _HEAD_OF_ADDRESS)
        + values("Designations", "Designation", agent.designations)
        + element("PhotoLastUpdated", photo)
        + "</AgentDetails>"
    )


def _whole_agent(agent: Agent, office_updated: int, manner: Manner) -> str:
    office, times = agent.office, (office_updated, office_updated)
    return (
        f'<AgentDetails ID="{agent.agent_id}" LastUpdated="{rfc1123(agent.updated)}">'
        + element("Name", agent.name)
        + element("Position", agent.position)
        + several("Websites", agent.websites, _website)
        + several("Phones", agent.phones, _phone)
        + _office("Office", office, times, manner, _HEAD_OF_ADDRESS)
        + element("EducationCredentials", ", ".join(agent.education) or None)
        + container("Photo", _portrait(agent, manner.base_url), empty=False)
        # An agent works at the office's address.
        + _address(office.address, tuple(office.address))
        + values("Specialties", "Specialty", agent.specialties)
        + values("Designations", "Designation", agent.designations)
        + values("Languages", "Language", agent.languages)
        + values("TradingAreas", "TradingArea", agent.trading_areas)
        + "</AgentDetails>"
    )


def _portrait(agent: Agent, base_url: str) -> str:
    moment = agent.photo_updated
    if moment is None:
        return ""
    return (
        element("LastUpdated", rfc1123(moment))
        + element("ThumbnailURL", base_url + portrait_path(agent.agent_id, moment, "thumbnail"))
        + element("LargePhotoURL", base_url + portrait_path(agent.agent_id, moment, "large"))
    )


def _office(
    name: str, office: Office, times: tuple[int, int], manner: Manner, address: tuple[str, ...]
) -> str:
    """An office.

    Args:
        name: of the element.
        office: whose it is.
        times: LastUpdated as it is told there, and LogoLastUpdated.
        manner: how it is written.
        address: the elements of its address.
    """
    updated, _ = times
    return (
        f'<{name} ID="{office.office_id}" LastUpdated="{rfc1123(updated)}">'
        + element("Name", office.name)
        + _logo(office, times, manner)
        + element("OrganizationType", office.organization_type)
        + element("Designation", office.designation)
        + _address(office.address, address)
        + several("Phones", office.phones, _phone)
        + several("Websites", office.websites, _website)
        + element("Franchisor", office.franchisor)
        + f"</{name}>"
    )


def _logo(office: Office, times: tuple[int, int], manner: Manner) -> str:
    if office.logo is None:
        return ""
    updated, logo_updated = times
    path = logo_path(office.office_id, ticks(updated, office.office_id))
    url = element("ThumbnailURL", manner.base_url + path)
    if manner.is_old:
        # As CREA's table has it: the time stands within.
        shown = eastern_year_first(logo_updated)
        return container("Logo", url + element("LogoLastUpdated", shown))
    moment = rfc1123(logo_updated)
    logo = container("Logo", url + element("LastUpdated", moment))
    return logo + element("LogoLastUpdated", moment)


def _address(address: Fields, names: tuple[str, ...]) -> str:
    return container("Address", "".join(element(name, address[name]) for name in names))


def _phone(phone: Phone) -> str:
    return f'<Phone ContactType="Business" PhoneType="{phone.kind}">{phone.number}</Phone>'


def _website(website: Website) -> str:
    url = escape(website.url, quote=False)
    return f'<Website ContactType="Business" WebsiteType="{website.kind}">{url}</Website>'
