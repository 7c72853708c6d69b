"""The job for members and offices, on SQLite with a folder and on Postgres with S3.

What belongs here: what Dagster adds. What does not: the convergence itself, which needs none
(``sync/test_people``).
"""

from __future__ import annotations

import pytest

from rets_pipeline.warehouse.resources import MEMBERS, OFFICES
from rets_pipeline_tests.end_to_end.harness import FEED, Pipeline, Server
from rets_pipeline_tests.end_to_end.people import assert_equal_people, held

CHECKS = {"members_match_server": True, "offices_match_server": True, "quarantine_empty": True}


def test_members_and_offices_from_an_empty_warehouse_on(server: Server, pipeline: Pipeline) -> None:
    # The first load.
    first = pipeline.members()

    assert first.success, first.failures
    truth = server.people()
    assert_equal_people(pipeline.warehouse, FEED, truth)
    assert first.checks == CHECKS
    counts = first.counts
    for kind, master_list in (("members", "member_master_list"), ("offices", "office_master_list")):
        count = len(truth[kind])
        assert counts[master_list]["keys"] == count
        assert counts[f"raw_{kind}"][kind] == count
        assert (counts[kind]["new"], counts[kind]["gone"], counts[kind]["pulls"]) == (count, 0, 1)
    statistics = server.statistics()
    assert (statistics["logins"], statistics["sessions_open_at_most"]) == (1, 1)
    assert statistics["details_by_resource"]["Property"] == 0

    # Nothing to do: a request each, no row touched, and every number all the same.
    before = pipeline.everything()
    server.reset_statistics()
    second = pipeline.members()
    assert second.success
    assert server.statistics()["requests"]["Search"] == 2
    assert pipeline.everything() == before
    assert second.counts["members"].keys() == counts["members"].keys()
    assert set(second.counts["raw_offices"].values()) == {0}
    assert {name for name, value in second.counts["members"].items() if value} == {"live_before"}

    # A day later, and a list of agents that breaks off: offices converge, nobody goes.
    server.advance()
    server.behave(truncate_master_list=0.5, resources=["Agent"])
    broken = pipeline.members()
    assert broken.failures.keys() == {"board__member_master_list"}
    assert broken.counts["offices"]["gone"] > 0
    truth = server.people()
    assert held(pipeline.warehouse, FEED, OFFICES).keys() == truth["offices"].keys()
    gone = held(pipeline.warehouse, FEED, MEMBERS).keys() - truth["members"].keys()
    assert gone

    # All is well again, beside listings.
    server.behave()
    assert pipeline.sync().success
    healed = pipeline.members()
    assert healed.success, healed.failures
    assert healed.counts["members"]["gone"] == len(gone)
    assert healed.checks == CHECKS
    assert_equal_people(pipeline.warehouse, FEED, truth)


@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
def test_the_guard_of_one_resource_lets_the_other_go_on(server: Server, pipeline: Pipeline) -> None:
    pipeline.members()
    server.change_person("office", "phones", next(iter(server.people()["offices"])))
    server.behave(drop_from_master_list=20, resources=["Agent"])

    tripped = pipeline.members()

    assert tripped.failures.keys() == {"board__members"}
    assert "allow_deletions: 20" in tripped.failures["board__members"]
    assert tripped.counts["offices"]["changed"] == 1
    assert tripped.checks == {"offices_match_server": True, "quarantine_empty": True}
    allowed = pipeline.members(allow_deletions=20)
    assert allowed.counts["members"]["gone"] == 20
