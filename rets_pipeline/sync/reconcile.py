"""The audits of the nightly reconcile, in their order.

What belongs here: which audits there are. What does not: the audits themselves (``sample``,
``audit``, ``blobs``), and the sync that goes before them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rets_pipeline.sync import audit, blobs, sample
from rets_pipeline.sync.apply import ParsedPull
from rets_pipeline.sync.audit import KeyByKey
from rets_pipeline.sync.blobs import BlobCounts
from rets_pipeline.sync.mirror import Mirror, action, others_of
from rets_pipeline.sync.sample import Sampled
from rets_pipeline.warehouse.resources import LISTINGS

#: keys of each finding that are named
KEYS_SHOWN = 20


@dataclass(slots=True)
class Audits:
    """What the audits found, by the kind of pulls: ``listings``, ``members``, ``offices``."""

    samples: dict[str, Sampled] = field(default_factory=dict)
    keys: dict[str, KeyByKey] = field(default_factory=dict)
    blobs: BlobCounts = field(default_factory=BlobCounts)

    @property
    def pulls(self) -> list[ParsedPull]:
        """What the samples loaded."""
        return [parsed for found in self.samples.values() for parsed in found.pulls]


def audit_everything(mirror: Mirror) -> Audits:
    """Fetch the samples, compare every key, and compare the blobs with their rows.

    Raises:
        RetsError: the server refused or answered nonsense.
    """
    found = Audits()
    for resource in (LISTINGS, *others_of(mirror.source)):
        found.samples[resource.kind] = sample.refetch(mirror, resource)
        apart = audit.key_by_key(mirror, resource, shown=KEYS_SHOWN)
        if apart is not None:
            found.keys[resource.kind] = apart
            mirror.note(
                action(resource, "parity"),
                on_server=apart.parity.on_server,
                live=apart.parity.live,
                missing=apart.parity.missing,
                surplus=apart.parity.surplus,
                missing_keys=apart.missing,
                surplus_keys=apart.surplus,
            )
    found.blobs = blobs.audit(mirror)
    return found
