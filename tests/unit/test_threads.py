"""Threads of the stages' libraries: together no more than there are cores, and none that spins."""

import pytest

from ipc.settings import AsrSettings, DiarizationSettings, StageSettings
from wernicke_daemon.processes import threads


@pytest.mark.parametrize("cores", range(2, 65))
def test_recognition_and_diarization_share_the_cores(cores: int) -> None:
    """They are at work side by side; each has at least one."""
    found = threads.shares(StageSettings(), cores)
    assert 2 <= found["asr"] + found["diarization"] <= cores
    assert found["asr"] >= found["diarization"] >= 1
    assert (found["ingest"], found["correction"]) == (1, 1)


@pytest.mark.parametrize(("cores", "asr", "diarization"), [(1, 1, 1), (2, 1, 1), (4, 2, 1), (8, 4, 3), (16, 8, 7)])
def test_some_machines(cores: int, asr: int, diarization: int) -> None:
    found = threads.shares(StageSettings(), cores)
    assert (found["asr"], found["diarization"]) == (asr, diarization)


def test_what_is_configured_stands() -> None:
    """The others have what is left; where nobody is told apart, recognition has all."""
    found = threads.shares(StageSettings(asr=AsrSettings(cpu_threads=6)), 8)
    assert (found["asr"], found["diarization"]) == (6, 1)
    found = threads.shares(StageSettings(diarization=DiarizationSettings(engine="none")), 8)
    assert found["asr"] == 7


def test_a_stage_has_them_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is imported there; what the user has set stands."""
    from wernicke_daemon.processes import process_tree

    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    for name in (*threads.WAITING, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    found = process_tree.environment(threads.variables(2))
    assert {name: found[name] for name in threads.WAITING} == threads.WAITING
    assert [found[name] for name in threads.COUNTS] == ["2", "3", "2"]


def test_cores_are_those_that_may_be_used() -> None:
    assert threads.cores() >= 1
