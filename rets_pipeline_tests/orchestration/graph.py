"""The graph of assets as plain data, for people to read and for tests to compare.

What belongs here: what an operator sees or relies on. What does not: how Dagster holds it.
"""

from __future__ import annotations

from typing import Any

import dagster as dg
from dagster._core.definitions.repository_definition import RepositoryDefinition


def graph_of(defs: dg.Definitions) -> dict[str, Any]:
    """Assets, checks, jobs, schedules and resources, sorted by name."""
    repository = defs.get_repository_def()
    return {
        "assets": {
            key.to_user_string(): _asset(repository, key)
            for key in sorted(repository.asset_graph.get_all_asset_keys())
        },
        "checks": {
            f"{key.asset_key.to_user_string()}: {key.name}": _check(repository, key)
            for key in sorted(repository.asset_graph.asset_check_keys, key=str)
        },
        "jobs": {
            job.name: _job(job)
            for job in sorted(repository.get_all_jobs(), key=lambda job: job.name)
            if not job.name.startswith("__")
        },
        "schedules": {
            schedule.name: _schedule(schedule)
            for schedule in sorted(repository.schedule_defs, key=lambda item: item.name)
        },
        "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
        "resources": sorted(resources_of(defs)),
        "environment": sorted(
            {name for resource in resources_of(defs).values() for name in _variables(resource)}
        ),
    }


def resources_of(defs: dg.Definitions) -> dict[str, dg.ResourceDefinition]:
    """The resources that assets and checks carry: those of their feed."""
    graph = defs.get_repository_def().asset_graph
    return {
        name: resource
        for definition in graph.assets_defs
        for name, resource in definition.resource_defs.items()
        if name != "io_manager"
    }


def _variables(resource: dg.ResourceDefinition) -> list[str]:
    """The environment's variables that a resource reads when a run starts."""
    schema = resource.config_schema
    values = schema.default_value if schema.default_provided else None
    values = values.values() if isinstance(values, dict) else ()
    return [value["env"] for value in values if isinstance(value, dict) and "env" in value]


def _asset(repository: RepositoryDefinition, key: dg.AssetKey) -> dict[str, Any]:
    node = repository.asset_graph.get(key)
    definition = node.assets_def
    assert isinstance(definition.op, dg.OpDefinition)
    backfill, freshness = node.backfill_policy, node.freshness_policy
    return {
        "depends_on": _keys(node.parent_keys),
        "group": node.group_name,
        "partitions": _partitions(node.partitions_def),
        "runs_of_a_backfill": backfill.policy_type.name if backfill else None,
        "pools": sorted(node.pools),
        "kinds": sorted(node.kinds),
        "owners": sorted(node.owners),
        "tags": {
            name: value
            for name, value in sorted(node.tags.items())
            if not name.startswith("dagster/kind/")
        },
        "config": _config(definition.op),
        "metadata": sorted(node.metadata),
        "io_manager": node.io_manager_key,
        "resources": sorted(definition.required_resource_keys),
        "freshness": _freshness(freshness) if freshness else None,
        "automation": str(node.automation_condition) if node.automation_condition else None,
    }


def _freshness(policy: Any) -> dict[str, str | None]:
    warn = policy.warn_window.to_timedelta() if policy.warn_window else None
    return {
        "warns_after": str(warn) if warn else None,
        "fails_after": str(policy.fail_window.to_timedelta()),
    }


def _config(op: dg.OpDefinition) -> dict[str, Any]:
    fields = getattr(op.config_schema.config_type, "fields", {})
    return {name: field.default_value for name, field in sorted(fields.items())}


def _partitions(definition: dg.PartitionsDefinition | None) -> dict[str, Any] | None:
    if definition is None:
        return None
    assert isinstance(definition, dg.DailyPartitionsDefinition)
    return {
        "first": definition.get_first_partition_key(),
        "time_zone": definition.timezone,
        "days_beyond_yesterday": definition.end_offset,
    }


def _check(repository: RepositoryDefinition, key: dg.AssetCheckKey) -> dict[str, Any]:
    own = repository.asset_graph.get(key.asset_key).assets_def
    checks = repository.asset_checks_defs_by_key
    definition: dg.AssetsDefinition = checks.get(key, own)  # an asset may check itself
    (spec,) = [spec for spec in definition.check_specs if spec.key == key]
    assert isinstance(definition.op, dg.OpDefinition)
    return {
        "depends_on": _keys(dep.asset_key for dep in spec.additional_deps),
        "blocking": spec.blocking,
        "pool": definition.op.pool,
        "resources": sorted(definition.required_resource_keys),
    }


def _job(job: dg.JobDefinition) -> dict[str, Any]:
    layer = job.asset_layer
    days = job.partitions_def
    config = job.run_config
    if days is not None:
        config = job.get_run_config_for_partition_key(days.get_first_partition_key())
    return {
        "assets": _keys(layer.selected_asset_keys),
        "checks": sorted(
            f"{key.asset_key.to_user_string()}: {key.name}"
            for key in layer.asset_graph.asset_check_keys
        ),
        "partitions": _partitions(days),
        "tags": dict(sorted(job.tags.items())),
        "config": config or {},
        "executor": job.executor_def.name,
    }


def _schedule(schedule: dg.ScheduleDefinition) -> dict[str, Any]:
    return {
        "job": schedule.job_name,
        "cron": schedule.cron_schedule,
        "time_zone": schedule.execution_timezone,
        "runs_by_default": schedule.default_status is dg.DefaultScheduleStatus.RUNNING,
    }


def _keys(keys: Any) -> list[str]:
    return sorted(key.to_user_string() for key in keys)
