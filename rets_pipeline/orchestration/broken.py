"""Feeds whose entries in feeds.yaml cannot be used, as the UI shows them.

What belongs here: an asset that says what is wrong, and a schedule that fails with it, so that the
fault is seen among the runs and by whatever watches them. What does not: the faults (``settings``).
"""

# No postponed annotations here: Dagster reads the type of `context` at once.
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from rets_pipeline.orchestration import naming

_EVERY_HOUR = "0 * * * *"


@dataclass(frozen=True, slots=True)
class BrokenFeed:
    """A feed that is not mirrored.

    Attributes:
        name: made fit for Dagster, which takes fewer names than people write.
        fault: what is wrong with its entry, in one line.
    """

    name: str
    fault: str

    @property
    def _job_name(self) -> str:
        return f"{self.name}_{naming.SETTINGS}"

    def asset(self) -> dg.AssetsDefinition:
        """The one asset of the feed; whoever materializes it is told the fault."""

        @dg.asset(
            key=naming.asset_key(self.name, naming.SETTINGS),
            group_name=self.name,
            kinds={"yaml"},
            tags={"rets/broken": "feed"},
            description=f"**This feed is not mirrored.** {self.fault}. Correct feeds.yaml and "
            "reload the code location; `rets-pipeline check` tells whether it is right.",
        )
        def settings(context: dg.AssetExecutionContext) -> None:
            raise dg.Failure(description=self.fault, allow_retries=False)

        return settings

    def job(self) -> Any:
        """The job that materializes it, and fails."""
        return dg.define_asset_job(
            self._job_name,
            selection=dg.AssetSelection.assets(naming.asset_key(self.name, naming.SETTINGS)),
            tags={naming.FEED_TAG: self.name},
            description="Fails with what is wrong with the feed's entry in feeds.yaml.",
        )

    def schedule(self, *, running: bool) -> dg.ScheduleDefinition:
        """A failed run an hour, until the entry is corrected.

        Args:
            running: whether it runs without anybody having switched it on.
        """
        status = dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
        return dg.ScheduleDefinition(
            name=f"{self._job_name}_schedule",
            job_name=self._job_name,
            cron_schedule=_EVERY_HOUR,
            execution_timezone="UTC",
            default_status=status,
            description="Tells once an hour, by a failed run, that the feed is not mirrored.",
        )


def broken_feeds(broken: Mapping[str, str], taken: set[str]) -> Iterator[BrokenFeed]:
    """The feeds that cannot be used, under names that no other feed has.

    Args:
        broken: name to fault.
        taken: names of feeds that work.
    """
    used = set(taken)
    for name, fault in broken.items():
        base = re.sub(r"[^a-z0-9_]", "_", name.lower())[:40] or "feed"
        safe, number = base, 1
        while safe in used:
            number += 1
            safe = f"{base}_{number}"
        used.add(safe)
        yield BrokenFeed(safe, fault)
