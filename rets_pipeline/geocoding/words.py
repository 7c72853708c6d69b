"""The words of Canadian addresses, in English and French.

What belongs here: folding a text, and the tables of street types, directions, units and numbers.
What does not: reading an address with them (``addresses``).

The street types are those of Canada Post's addressing guidelines, with the spellings that boards
use. A French type and the English one that bilingual cities print on the same sign are one:
``rue Main`` is ``Main Street``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_ELISION = re.compile(r"\b([dl])['’ʼ`]")
_MARKS = re.compile(r"['’ʼ`.]")
_SEPARATORS = re.compile(r"[\W_]+")


def fold(text: str) -> str:
    """Lower case, without accents and punctuation, one blank between words."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()
    plain = _MARKS.sub("", _ELISION.sub(r"\1 ", plain))
    return _SEPARATORS.sub(" ", plain).strip()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _reversed(table: Mapping[str, str]) -> dict[str, str]:
    """By spelling."""
    return {word: name for name, words in table.items() for word in (name, *words.split())}


#: spelling → type
STREET_TYPES: Mapping[str, str] = _reversed(
    {
        "alley": "aly",
        "allee": "all",
        "autoroute": "aut",
        "avenue": "av ave aven avn",
        "bay": "",
        "bend": "",
        "boulevard": "bd bl blv blvd boul bvd",
        "bypass": "",
        "circle": "cir circ crcl cercle",
        "circuit": "",
        "close": "cl",
        "common": "",
        "concession": "conc con",
        "corners": "crnrs",
        "cote": "",
        "court": "ct crt cour",
        "cove": "",
        "crescent": "cr cres crs crois croissant",
        "crossing": "cross xing",
        "drive": "dr drv dv prom promenade",
        "expressway": "expy",
        "freeway": "fwy",
        "gardens": "gdns gdn garden",
        "gate": "gt",
        "glen": "",
        "green": "grn",
        "grove": "grv gr",
        "heights": "hts",
        "highway": "hwy hiway hgwy",
        "hill": "",
        "impasse": "imp",
        "landing": "landng ldg",
        "lane": "ln ruelle",
        "line": "",
        "link": "",
        "loop": "",
        "mall": "",
        "manor": "mnr",
        "meadows": "meadow mdws",
        "mews": "",
        "montee": "mtee",
        "park": "pk",
        "parkway": "pkwy pky pkway",
        "passage": "",
        "path": "",
        "place": "pl",
        "plaza": "plz",
        "point": "pt",
        "private": "pvt prive",
        "quay": "quai",
        "rang": "rg",
        "ridge": "rdg",
        "rise": "",
        "road": "rd ch chem chemin",
        "route": "rte",
        "row": "",
        "run": "",
        "sideroad": "sdrd siderd",
        "square": "sq carre",
        "street": "st str rue",
        "terrace": "ter terr tce terrasse tsse",
        "trail": "tr trl sentier",
        "view": "vw",
        "villas": "",
        "walk": "wk",
        "way": "wy voie",
        "wharf": "",
    }
)

#: types that stand before the name: those of French, and those of numbered highways
TYPES_BEFORE = _words(
    """all allee aut autoroute av ave avenue bd blvd boul boulevard carre cercle ch chem chemin cote
    cour crois croissant highway hwy imp impasse montee mtee passage place pl prom promenade quai
    rang rg route rte rue ruelle sentier square terrasse tsse voie"""
)

#: between a French type and the name: ``rue de la Montagne``
PARTICLES = _words("d de des du l la le les")

#: spelling → direction. O is the west of the French: ouest.
DIRECTIONS: Mapping[str, str] = _reversed(
    {
        "n": "north nord",
        "s": "south sud",
        "e": "east est",
        "w": "west ouest o",
        "ne": "northeast nordest",
        "nw": "northwest nordouest no",
        "se": "southeast sudest",
        "sw": "southwest sudouest so",
    }
)

#: before the number of a part of a building
UNITS = _words(
    """apartment appartement apt app apartement box bsmt bureau condo floor local logement ph
    penthouse rm room ste suite th townhouse unit unite un"""
)

_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th|e|er|re|eme|ieme|iere)")
_COUNTED = {
    "first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5",
    "sixth": "6", "seventh": "7", "eighth": "8", "ninth": "9", "tenth": "10",
}  # fmt: skip
_SAINTS = {"st": "saint", "ste": "sainte"}


def name_word(word: str) -> str:
    """One spelling of a folded word of a street's name: ``4th`` → ``4``, ``st`` → ``saint``."""
    ordinal = _ORDINAL.fullmatch(word)
    if ordinal:
        return ordinal.group(1)
    return _COUNTED.get(word) or _SAINTS.get(word) or DIRECTIONS.get(word) or word


def place_name(text: str) -> str:
    """One spelling of a town's name: folded, without brackets and ``City of``."""
    words = fold(text.partition("(")[0] or text).split()
    for start in (["city", "of"], ["town", "of"], ["ville", "de"], ["district", "of"]):
        if words[:2] == start and len(words) > 2:
            words = words[2:]
    return " ".join(_SAINTS.get(word, word) for word in words)
