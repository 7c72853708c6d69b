"""The geocoders that a feed can name, through geopy.

What belongs here: making them from settings, asking one for an address at the rate that it allows,
and reading what came back. What does not: the order of asking, budgets, and whether to believe an
answer.

Keys come from the environment, when a provider is opened.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from geopy.exc import (
    GeocoderAuthenticationFailure,
    GeocoderInsufficientPrivileges,
    GeocoderParseError,
    GeocoderQueryError,
    GeocoderQuotaExceeded,
    GeocoderRateLimited,
    GeocoderServiceError,
    GeocoderTimedOut,
    GeocoderUnavailable,
)
from geopy.extra.rate_limiter import RateLimiter
from geopy.geocoders import ArcGIS, GoogleV3, Nominatim, OpenCage, Photon

from rets_pipeline import __version__
from rets_pipeline.geocoding.addresses import Address
from rets_pipeline.geocoding.answers import (
    AddressFault,
    Answer,
    Precision,
    ProviderFault,
    precision_in,
)
from rets_pipeline.geocoding.http import KEY, Http
from rets_pipeline.geocoding.offline import Offline
from rets_pipeline.geocoding.provinces import province_code
from rets_pipeline.settings import AddressSettings, GeocoderSettings, SettingsError

Raw = Mapping[str, Any]
#: a service that says that today's requests are used up is asked again tomorrow
_UNTIL_TOMORROW = timedelta(days=1)
#: that a service may ask for
_LONGEST_REST = timedelta(days=7)
#: characters of what a service matched that are kept
_LONGEST_TEXT = 1_000


class Provider:
    """A geocoder that is ready to be asked; the first request waits as long as any other.

    Attributes:
        name: as the settings name it.
        remote: whether asking it costs a request.
        daily_requests: its budget.
    """

    def __init__(self, settings: GeocoderSettings, addresses: AddressSettings) -> None:
        self.name = settings.name
        self.remote = settings.name != "offline"
        self.daily_requests = settings.daily_requests
        self._http: Http | None = None
        self._query, self._options, self._read = _USES[settings.name]
        geocoder = self._geocoder(settings, addresses)
        delay = settings.seconds_between_requests if self.remote else 0.0
        # A run that ended just now may have asked at the last moment.
        self._first_at = time.monotonic() + delay
        # Faults are not tried again at once: the next run does that, politely.
        self._geocode = RateLimiter(
            geocoder.geocode,
            min_delay_seconds=delay,
            max_retries=0,
            error_wait_seconds=delay,
            swallow_exceptions=False,
        )

    def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            self._http.close()

    def ask(self, address: Address) -> Answer | None:
        """Ask for an address, as soon as the provider's rate allows it.

        Returns:
            None: the provider knows no such place, or nothing nearer than its province.

        Raises:
            AddressFault: no answer for this address.
            ProviderFault: no answer for any.
        """
        time.sleep(max(0.0, self._first_at - time.monotonic()))
        try:
            found = self._geocode(self._query(address), **self._options)
            answer = None if found is None else self._read(found.latitude, found.longitude, found)
            return answer and replace(
                answer,
                precision=precision_in(answer, address),
                matched_text=_printable(answer.matched_text),
            )
        except GeocoderQueryError:
            return None  # it does not understand the address
        except GeocoderRateLimited as fault:
            raise ProviderFault(
                "asks for fewer requests (HTTP 429)", _rest(fault.retry_after)
            ) from None
        except GeocoderServiceError as fault:
            raise _told(fault) from None
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
            raise AddressFault("the answer is not as documented") from None

    def _geocoder(self, settings: GeocoderSettings, addresses: AddressSettings) -> Any:
        if not self.remote:
            return Offline()
        key = _key(settings)
        http = self._http = Http(key=key)
        options: dict[str, Any] = {
            "timeout": settings.timeout_seconds,
            "user_agent": addresses.user_agent or f"rets_pipeline/{__version__}",
            "adapter_factory": lambda **_: http,
        }
        if settings.host is not None:
            parts = urlsplit(settings.host)
            options |= {"scheme": parts.scheme, "domain": parts.netloc}
        if key is not None:
            options["api_key"] = KEY
        return _GEOCODERS[settings.name](**options)


def _rest(seconds: float | None) -> timedelta | None:
    """What ``Retry-After`` asks for, which may be any number, within what is done."""
    if seconds is None:
        return None
    return timedelta(seconds=min(max(seconds, 0), _LONGEST_REST.total_seconds()))


def _told(fault: GeocoderServiceError) -> Exception:
    """In words of ours: geopy's may quote what the service said, and what it was asked."""
    if isinstance(fault, GeocoderQuotaExceeded):
        return ProviderFault("says that our quota is used up", _UNTIL_TOMORROW)
    if isinstance(fault, (GeocoderAuthenticationFailure, GeocoderInsufficientPrivileges)):
        return ProviderFault("refuses our key or our requests (HTTP 401 or 403)")
    if isinstance(fault, GeocoderTimedOut):
        return AddressFault("no whole answer in time")
    if isinstance(fault, GeocoderUnavailable):
        return AddressFault("no connection")
    if isinstance(fault, GeocoderParseError):
        return AddressFault("the answer is not JSON")
    return AddressFault("an error of the service")


def _printable(text: str) -> str:
    """Text of a service's as every database and terminal takes it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_LONGEST_TEXT])


class _Google(GoogleV3):  # type: ignore[misc]  # geopy is not typed
    """Google's geocoder; a key that it refuses is no address that it does not understand."""

    def _check_status(self, response: Raw) -> None:
        if response.get("status") == "REQUEST_DENIED":
            raise GeocoderAuthenticationFailure("the key is refused")
        super()._check_status(response)


def _key(settings: GeocoderSettings) -> str | None:
    if settings.key_variable is None:
        return None
    key = os.environ.get(settings.key_variable)
    if not key:
        raise SettingsError(
            f"geocoder {settings.name!r}: the environment has no variable {settings.key_variable}"
        )
    return key


def _structured(address: Address) -> dict[str, str]:
    """For Nominatim: https://nominatim.org/release-docs/develop/api/Search."""
    code = address.postal_code
    parts = {
        "street": address.line,
        "city": address.town,
        "state": address.province,
        "postalcode": f"{code[:3]} {code[3:]}" if len(code) == 6 else "",
        "country": "Canada",
    }
    return {name: value for name, value in parts.items() if value}


def _for_tables(address: Address) -> dict[str, str]:
    return {
        "postalcode": address.postal_code,
        "city": address.city,
        "state": address.province,
    }


def _line(address: Address) -> str:
    return address.text


def _read_nominatim(latitude: float, longitude: float, found: Any) -> Answer | None:
    parts = found.raw.get("address") or {}
    if parts.get("house_number"):
        precision = Precision.ROOFTOP
    elif parts.get("road"):
        precision = Precision.STREET
    else:
        kind = found.raw.get("addresstype") or found.raw.get("type") or ""
        near = _by_kind(str(kind), str(parts.get("postcode") or ""))
        if near is None:
            return None
        precision = near
    province = _province(
        parts.get("country_code"), parts.get("ISO3166-2-lvl4") or parts.get("state")
    )
    shown, told = str(found.address or ""), _told_parts(parts, "house_number", "road")
    return Answer(latitude, longitude, precision, shown, None, province, *told)


def _read_photon(latitude: float, longitude: float, found: Any) -> Answer | None:
    parts = found.raw.get("properties") or {}
    if parts.get("housenumber"):
        precision: Precision | None = Precision.ROOFTOP
    elif parts.get("street") or parts.get("type") == "street":
        precision = Precision.STREET
    else:
        precision = _by_kind(
            str(parts.get("osm_value") or parts.get("type") or ""), str(parts.get("postcode") or "")
        ) or _by_kind(str(parts.get("type") or ""), "")
    if precision is None:
        return None
    province = _province(parts.get("countrycode"), parts.get("state"))
    street = "street" if parts.get("street") or parts.get("type") != "street" else "name"
    shown, told = str(found.address or ""), _told_parts(parts, "housenumber", street)
    return Answer(latitude, longitude, precision, shown, None, province, *told)


_ARCGIS: Mapping[str, Precision] = {
    "PointAddress": Precision.ROOFTOP,
    "Subaddress": Precision.ROOFTOP,
    "StreetAddress": Precision.STREET,  # between the ends of a block
    "StreetAddressExt": Precision.STREET,
    "StreetInt": Precision.STREET,
    "StreetMidBlock": Precision.STREET,
    "StreetName": Precision.STREET,
    "Locality": Precision.CITY,
}


def _read_arcgis(latitude: float, longitude: float, found: Any) -> Answer | None:
    """https://developers.arcgis.com/rest/geocode/service-output/."""
    parts = found.raw.get("attributes") or {}
    kind = str(parts.get("Addr_type") or "")
    precision = _ARCGIS.get(kind)
    if kind.startswith("Postal"):
        precision = _by_code(str(parts.get("Postal") or ""))
    if precision is None:
        return None
    score = found.raw.get("score")
    confidence = None if score is None else float(score) / 100
    province = _province(parts.get("Country"), parts.get("RegionAbbr") or parts.get("Region"))
    shown, told = str(found.address or ""), _told_parts(parts, "AddNum", "StName")
    return Answer(latitude, longitude, precision, shown, confidence, province, *told)


def _read_google(latitude: float, longitude: float, found: Any) -> Answer | None:
    """https://developers.google.com/maps/documentation/geocoding/requests-geocoding."""
    raw = found.raw
    kinds, shown = set(raw.get("types") or ()), str(found.address or "")
    located = (raw.get("geometry") or {}).get("location_type")
    parts: dict[str, Raw] = {
        kind: part for part in raw.get("address_components") or () for kind in part["types"]
    }
    if "street_number" in parts:
        precision: Precision | None = (
            Precision.ROOFTOP if located == "ROOFTOP" else Precision.STREET
        )
    elif "route" in parts:
        precision = Precision.STREET
    elif kinds & {"postal_code", "postal_code_prefix"}:
        code = parts.get("postal_code") or parts.get("postal_code_prefix") or {}
        precision = _by_code(str(code.get("short_name") or ""))
    elif kinds & {"locality", "sublocality", "neighborhood", "administrative_area_level_3"}:
        precision = Precision.CITY
    else:
        precision = None
    if precision is None:
        return None
    region = parts.get("administrative_area_level_1", {}).get("short_name")
    province = _province(parts.get("country", {}).get("short_name"), region)
    confidence = 0.5 if raw.get("partial_match") else None
    names = {kind: part.get("long_name") for kind, part in parts.items()}
    told = _told_parts(names, "street_number", "route")
    return Answer(latitude, longitude, precision, shown, confidence, province, *told)


def _read_opencage(latitude: float, longitude: float, found: Any) -> Answer | None:
    """https://opencagedata.com/api#forward."""
    parts = found.raw.get("components") or {}
    if parts.get("house_number"):
        precision: Precision | None = Precision.ROOFTOP
    elif parts.get("road"):
        precision = Precision.STREET
    else:
        precision = _by_kind(str(parts.get("_type") or ""), str(parts.get("postcode") or ""))
    if precision is None:
        return None
    told = found.raw.get("confidence")
    # 1 to 10 by the size of the place's box; 0: unknown
    confidence = float(told) / 10 if told else None
    province = _province(parts.get("country_code"), parts.get("state_code") or parts.get("state"))
    shown, told = str(found.address or ""), _told_parts(parts, "house_number", "road")
    return Answer(latitude, longitude, precision, shown, confidence, province, *told)


def _read_offline(latitude: float, longitude: float, found: Any) -> Answer:
    precision = Precision(found.raw["precision"])
    return Answer(latitude, longitude, precision, found.address, None, found.raw["province"])


#: what OpenStreetMap calls places that are no larger than a town
_TOWNS = frozenset(
    (
        "borough", "city", "city_district", "district", "hamlet", "locality", "municipality",
        "neighbourhood", "quarter", "suburb", "town", "village",
    )
)  # fmt: skip


def _by_kind(kind: str, postal_code: str) -> Precision | None:
    if kind in ("postcode", "postal_code"):
        return _by_code(postal_code) or Precision.FSA
    return Precision.CITY if kind in _TOWNS else None


def _by_code(postal_code: str) -> Precision | None:
    length = len(postal_code.replace(" ", ""))
    return {6: Precision.POSTAL_CODE, 3: Precision.FSA}.get(length)


def _told_parts(parts: Raw, house: str, street: str) -> tuple[str, str]:
    """The number of the house and the name of the street, by the service's names for them."""
    return str(parts.get(house) or ""), str(parts.get(street) or "")


def _province(country: object, region: object) -> str | None:
    """Two letters; empty: outside Canada; None: not told, or in words that are unknown here."""
    if country is not None and str(country).lower() not in ("ca", "can", "canada"):
        return ""
    code = None if region is None else province_code(str(region))
    # Without a country, a region that is none of Canada's is one of another country.
    return "" if code is None and country is None and region is not None else code


_GEOCODERS: Mapping[str, Callable[..., Any]] = {
    "nominatim": Nominatim,
    "photon": Photon,
    "arcgis": ArcGIS,
    "google": _Google,
    "opencage": OpenCage,
}

#: how each is asked, with which options, and how its answer is read
_USES: Mapping[
    str,
    tuple[
        Callable[[Address], Any],
        Mapping[str, Any],
        Callable[[float, float, Any], Answer | None],
    ],
] = {
    "nominatim": (_structured, {"addressdetails": True, "country_codes": "ca"}, _read_nominatim),
    "photon": (_line, {"language": "en"}, _read_photon),
    "arcgis": (
        _line,
        {
            "out_fields": [
                "Addr_type",
                "AddNum",
                "StName",
                "Postal",
                "RegionAbbr",
                "Region",
                "Country",
            ]
        },
        _read_arcgis,
    ),
    "google": (_line, {"region": "ca"}, _read_google),
    "opencage": (_line, {"annotations": False, "country": "ca"}, _read_opencage),
    "offline": (_for_tables, {}, _read_offline),
}
