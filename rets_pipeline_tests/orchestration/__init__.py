"""Tests of what Dagster sees: the graph, schedules, runs, and a real daemon."""
