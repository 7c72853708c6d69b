#!/bin/sh
# What must be done before the services start, and again for each new version and each new feed:
# Dagster's tables, the warehouse's tables, and one run at a time in every feed's pools. Doing it
# twice does no harm. With arguments, it goes on as that command.
set -eu

dagster instance migrate
python - <<'PYTHON'
import sys

from rets_pipeline.commands.instance import open_instance
from rets_pipeline.settings import Settings, SettingsError
from rets_pipeline.warehouse.engine import Warehouse, WarehouseError

try:
    settings = Settings.from_env()
    Warehouse.open(settings.database_url).close()
    open_instance(settings).dispose()
except (SettingsError, WarehouseError) as error:
    sys.exit(f"error: {error}")
print(f"prepared {settings.database_description} and the pools of: {', '.join(settings.feeds)}")
PYTHON

[ "$#" -eq 0 ] || exec "$@"
