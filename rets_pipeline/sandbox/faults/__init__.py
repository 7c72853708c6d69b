"""Faults: everything that real servers have been seen to do wrong, to be switched on by name.

What belongs here: one function for each fault, in modules by topic; the catalogue and the
switches. What does not: how a good server answers.
"""

from rets_pipeline.sandbox.faults import (
    admission,
    capabilities,
    columns,
    documents,
    frames,
    listed,
    metadata,
    objects,
    pages,
    texts,
)
from rets_pipeline.sandbox.faults.catalogue import CATALOGUE, SECTIONS, Fault, Turn
from rets_pipeline.sandbox.faults.switches import FaultError, Faults, Switch

__all__ = [
    "CATALOGUE",
    "SECTIONS",
    "Fault",
    "FaultError",
    "Faults",
    "Switch",
    "Turn",
    "admission",
    "capabilities",
    "columns",
    "documents",
    "frames",
    "listed",
    "metadata",
    "objects",
    "pages",
    "texts",
]
