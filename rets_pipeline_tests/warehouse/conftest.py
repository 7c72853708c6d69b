"""The warehouses of this package's tests."""

from rets_pipeline_tests.warehouse.databases import (  # noqa: F401
    postgres_warehouse,
    postgres_warehouse_url,
    postgres_with_tables,
    sqlite_template,
    sqlite_warehouse,
    sqlite_warehouse_url,
    warehouse,
    warehouse_url,
)
