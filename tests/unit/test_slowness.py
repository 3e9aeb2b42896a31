"""When a stage is told to be slow: too little CPU on a busy machine, for a while; not where it only waits."""

import pytest

from wernicke_daemon.processes.liveness import Limits, Liveness
from wernicke_daemon.processes.slowness import BEGINS_S, SPAN_S, Slowness

LOOK_S = 0.25
JOB_S = 1000.0


class Stage:
    """Looked at four times a second; has a share of a CPU, on a machine that is busy or not."""

    def __init__(self) -> None:
        self.slowness = Slowness()
        self.told: list[str] = []
        self._liveness = Liveness(Limits(30.0, 900.0, 10.0), 0.0)
        self._liveness.hello(0.0, 0.0)
        self._liveness.ready(0.0, 0.0)
        self._now = self._cpu_s = 0.0
        self._jobs = 0

    def passes(self, seconds: float, share: float, at_job: bool = True, busy: bool = True) -> bool:
        """Whether it is slow in the end."""
        if at_job and not self._liveness.at_job:
            self._jobs += 1
            self._liveness.job_started(self._jobs, JOB_S, self._now, self._cpu_s)
        elif not at_job:
            self._liveness.job_finished(self._jobs, self._now, self._cpu_s)
        for _ in range(round(seconds / LOOK_S)):
            self._now, self._cpu_s = self._now + LOOK_S, self._cpu_s + share * LOOK_S
            overtime = self.slowness.look(self._now, self._liveness, self._cpu_s, busy)
            self.told += [overtime.doing] if overtime else []
        return self.slowness.slow


def test_a_stage_that_shares_its_cpu_for_a_while_is_slow() -> None:
    stage = Stage()
    assert not stage.passes(BEGINS_S - 1.0, 0.5)
    assert stage.passes(2.0, 0.5)


def test_it_is_over_when_that_is_long_past() -> None:
    stage = Stage()
    stage.passes(2 * BEGINS_S, 0.5)
    assert stage.passes(SPAN_S - 2 * BEGINS_S, 1.0)
    assert not stage.passes(2 * BEGINS_S + 1.0, 1.0)


def test_time_between_jobs_does_not_count() -> None:
    """Many short jobs, each of them starved, are a slow stage; an idle one is none."""
    stage = Stage()
    assert not stage.passes(3 * SPAN_S, 0.1, at_job=False)
    for _ in range(4):
        stage.passes(2.0, 0.5)
        slow = stage.passes(2.0, 0.0, at_job=False)
    assert slow


@pytest.mark.parametrize(("share", "busy"), [(1.0, True), (2.0, True), (0.01, True), (0.0, True), (0.5, False)])
def test_one_that_has_what_it_needs_or_waits_for_something_else_is_not_slow(share: float, busy: bool) -> None:
    """A whole CPU, or two; a server's answer; a graphics card, on a machine with CPUs to spare."""
    assert not Stage().passes(10 * SPAN_S, share, busy=busy)


def test_a_job_over_its_limit_is_slow_at_once_and_told_once() -> None:
    """Whatever the rest of the machine does; the next one is told anew."""
    stage = Stage()
    assert not stage.passes(JOB_S, 0.5, busy=False)
    assert stage.passes(100.0, 0.5, busy=False)
    assert not stage.passes(1.0, 0.5, at_job=False, busy=False)
    stage.passes(JOB_S + 100.0, 0.5, busy=False)
    assert stage.told == ["at job 1", "at job 2"]


def test_another_process_takes_over() -> None:
    """Its CPU time begins at nothing: what it had is not known between the two."""
    slowness = Slowness()
    liveness = Liveness(Limits(30.0, 900.0, 10.0), 0.0)
    liveness.job_started(1, JOB_S, 0.0, 50.0)
    for now, cpu_s in ((0.0, 50.0), (10.0, 0.1), (20.0, 10.1)):
        slowness.look(now, liveness, cpu_s, True)
    assert not slowness.slow
