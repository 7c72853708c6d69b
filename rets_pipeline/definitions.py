"""What Dagster loads. Nothing else belongs here."""

from rets_pipeline import collector, logs
from rets_pipeline.orchestration import build_defs
from rets_pipeline.settings import Settings, log_form

logs.configure(log_form())
collector.seldom()
defs = build_defs(Settings.from_env())
