"""The work on some databases: packs read once, packs that differ, and results instead of exceptions."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from fleet.fleet_helpers import REFS, tenant_pack, tenants
from helpers import creates, recorded

from homie_migrations_core.fleet import work
from homie_migrations_core.fleet.fleets import job_for
from homie_migrations_core.packs import reading
from homie_migrations_core.stopping import StopRequest


def test_packs_are_read_once_for_all_databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    paths = [str(path) for path in tenants(tmp_path / "db", 6)]
    job = job_for("apply", [tenant_pack(tmp_path)])
    reads: list[str] = []
    original = reading.read_pack
    monkeypatch.setattr(reading, "read_pack", lambda pack, **more: reads.append(pack.name) or original(pack, **more))
    results = [*work.run(job, paths[:3]), *work.run(job, paths[3:])]
    assert [each.applied for each in results] == [REFS] * 6
    assert reads == ["tenant"]


def test_a_worker_with_other_packs_than_the_caller_does_nothing(tmp_path: Path):
    (path,) = tenants(tmp_path / "db", 1)
    pack = tenant_pack(tmp_path)
    job = job_for("apply", [pack])
    (Path(pack.migrations) / "002_two.py").write_text(creates(2, "other"))
    (outcome,) = work.run(job, [str(path)])
    assert (outcome.state, outcome.error_code) == ("failed", "packs_differ")
    assert recorded(path) == []


def test_a_worker_without_the_pack_says_why(tmp_path: Path):
    (path,) = tenants(tmp_path / "db", 1)
    pack = tenant_pack(tmp_path)
    job = job_for("apply", [pack])
    Path(pack.migrations).rename(tmp_path / "elsewhere")
    (outcome,) = work.run(job, [str(path)])
    assert outcome.error_code == "packs_differ"
    assert "does not exist" in outcome.message


def test_a_job_and_its_results_are_plain_data(tmp_path: Path):
    (path,) = tenants(tmp_path / "db", 1)
    job = job_for("apply", [tenant_pack(tmp_path)])
    assert pickle.loads(pickle.dumps(job)) == job
    results = work.run(pickle.loads(pickle.dumps(job)), [str(path)])
    assert pickle.loads(pickle.dumps(results)) == results


def test_a_stop_in_the_middle_of_a_task_leaves_the_others_without_a_result(tmp_path: Path):
    paths = [str(path) for path in tenants(tmp_path / "db", 5)]
    asked: list[bool] = []
    stop = StopRequest(lambda: any(recorded(Path(path)) == list(REFS) for path in paths[:2]) and not asked.append(True))
    results = work.run(job_for("apply", [tenant_pack(tmp_path)]), paths, stop)
    assert [each.path for each in results] == paths[:1]
    assert asked


def test_a_bug_is_the_failure_of_one_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (path,) = tenants(tmp_path / "db", 1)
    job = job_for("apply", [tenant_pack(tmp_path)])

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("never")

    monkeypatch.setattr(work.MigrationRunner, "apply", broken)
    (outcome,) = work.run(job, [str(path)])
    assert outcome[1:5] == ("failed", (), "unexpected", "ZeroDivisionError: never")


def test_a_path_that_can_be_no_path_fails_like_any_other(tmp_path: Path):
    names = ["\0", "x" * 5000, str(tmp_path / "\udcff.db")]
    outcomes = work.run(job_for("apply", [tenant_pack(tmp_path)]), names)
    assert [(each.path, each.state) for each in outcomes] == [(name, "failed") for name in names]
