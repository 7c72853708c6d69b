"""The behaviours of DDF's data, as faults of single requests.

What belongs here: the switches of ``/_sandbox/behaviour``, under the same names. What does not:
carrying them out (``search``, ``ddf``).
"""

from __future__ import annotations

from typing import Any

from rets_pipeline.sandbox.behaviour import read_switch
from rets_pipeline.sandbox.faults.catalogue import DDF_ONLY, Turn, changes

_SEARCH = ("Search",)


def _behave(turn: Turn, **switches: Any) -> None:
    read = {name: read_switch(name, value) for name, value in switches.items()}
    turn.call.behaviour = turn.call.behaviour.but(**read)


@changes(25, _SEARCH, DDF_ONLY, keys=[])
def never_return(turn: Turn) -> None:
    """Keys stand in the master list and are in no details."""
    _behave(turn, never_return=turn["keys"])


@changes(11, _SEARCH, DDF_ONLY, share_of_list=0.5, cleanly=False)
def truncate_master_list(turn: Turn) -> None:
    """The master list breaks off in the middle of a record."""
    share, cleanly = turn["share_of_list"], turn["cleanly"]
    _behave(turn, truncate_master_list=share, truncate_cleanly=cleanly)


@changes(25, _SEARCH, DDF_ONLY, keys=5)
def cut_master_list(turn: Turn) -> None:
    """Keys are missing from the master list; COUNT has all."""
    _behave(turn, cut_master_list=turn["keys"])


@changes(25, _SEARCH, DDF_ONLY, keys=5)
def drop_from_master_list(turn: Turn) -> None:
    """Keys are missing from the master list, and COUNT agrees."""
    _behave(turn, drop_from_master_list=turn["keys"])


@changes(14, _SEARCH, DDF_ONLY, changes=[])
def before_details(turn: Turn) -> None:
    """Listings change between the master list and their details."""
    _behave(turn, before_details=turn["changes"])


@changes(24, ("Image",), DDF_ONLY, path="", status=404)
def image_status(turn: Turn) -> None:
    """An image is answered with an HTTP status of its own."""
    path = turn["path"] or turn.call.request.url.path
    _behave(turn, image_status={path: turn["status"]})
