"""The searches that DDF answers.

What belongs here: RETS arguments in DDF's dialect. What does not: HTTP, and how answers are read.

DDF takes three query forms only; all here are STANDARD-XML, the only complete payload. A key list
takes no Limit or Offset, and at most 100 keys: more are refused with reply code 20208.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rets_pipeline.sources.base import Search

MAXIMUM_KEYS = 100

#: the attributes of a master list's entry: its key, and its time of change
ENTRY = ("ID", "LastUpdated")

#: what may stand in a key list; DDF's keys are whole numbers
_KEY = re.compile(r"[0-9A-Za-z_-]{1,64}")
_KEYS = re.compile(r"(?:[0-9A-Za-z_-]{1,64}\n)*")


def is_key(text: str) -> bool:
    """Whether a text can be a key of this server: safe in a query, as part of a path, in a log."""
    return _KEY.fullmatch(text) is not None


def are_keys(texts: Sequence[str]) -> bool:
    """Whether all of many texts can be keys."""
    lines = "\n".join([*texts, ""])
    return lines.count("\n") == len(texts) and _KEYS.fullmatch(lines) is not None


def master_list(resource: str, culture: str | None) -> Search:
    """Every key of ``resource`` (``Property``, ``Agent``, ``Office``) with its LastUpdated."""
    return Search(resource, _arguments(resource, "(ID=*)", culture), ENTRY)


def details(resource: str, keys: Sequence[str], culture: str | None) -> Search:
    """The full records of 1 to 100 keys.

    Raises:
        ValueError: no key, too many, or one that cannot stand in a query.
    """
    if not 1 <= len(keys) <= MAXIMUM_KEYS:
        raise ValueError(f"a search takes 1 to {MAXIMUM_KEYS} keys, not {len(keys)}")
    for key in keys:
        if not is_key(key):
            raise ValueError(f"{key[:80]!r} is not a DDF key")
    query = f"(ID={','.join(keys)})"
    return Search(record=detail_record(resource), arguments=_arguments(resource, query, culture))


def detail_record(resource: str) -> str:
    """What a full record of the resource is called."""
    return f"{resource}Details"


def _arguments(resource: str, query: str, culture: str | None) -> dict[str, str]:
    arguments = {
        "SearchType": resource,
        "Class": resource,
        "QueryType": "DMQL2",
        "Query": query,
        "Format": "STANDARD-XML",
        "Count": "1",
    }
    if culture is not None:
        arguments["Culture"] = culture
    return arguments
