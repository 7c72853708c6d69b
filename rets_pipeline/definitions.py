"""What Dagster loads. Nothing else belongs here."""

from rets_pipeline.orchestration import build_defs
from rets_pipeline.settings import Settings

defs = build_defs(Settings.from_env())
