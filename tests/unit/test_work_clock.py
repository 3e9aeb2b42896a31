"""How much of a wait a process can be held to: all of it where it does nothing, what CPU it had where it worked."""

from hypothesis import given
from hypothesis import strategies as st

from wernicke_daemon.processes.liveness import MOST_TIMES, STACKS_S, Limits, Liveness
from wernicke_daemon.processes.work_clock import WINDOW_S, WorkClock

LIMITS = Limits(hello_s=30.0, load_s=900.0, silence_s=10.0)
JOB_S = 100.0
CHECK_S = 0.25


def counted(seconds: float, share: float) -> float:
    """After a wait of that long, looked at often, in which the process had that share of a CPU."""
    clock, now = WorkClock(0.0, 0.0), 0.0
    while now < seconds:
        now += CHECK_S
        found = clock.read(now, share * now)
    return found


def test_a_process_with_a_cpu_to_itself_is_judged_by_the_wall_clock() -> None:
    """With several, too: more than a second in a second it can't be held to."""
    assert counted(60.0, 1.0) == 60.0
    assert counted(60.0, 4.0) == 60.0


def test_a_process_that_does_nothing_is_judged_by_the_wall_clock() -> None:
    """Heartbeats take a thousandth of a CPU."""
    assert counted(60.0, 0.0) == 60.0
    assert counted(60.0, 0.001) == 60.0


def test_a_starved_process_is_judged_by_its_cpu() -> None:
    assert abs(counted(60.0, 0.1) - 6.0) < 0.5
    assert abs(counted(60.0, 0.02) - 1.2) < 0.5


def test_a_hang_counts_from_the_next_window() -> None:
    """One that worked for a while and then does nothing is found out a window later at most."""
    clock, now = WorkClock(0.0, 0.0), 0.0
    while now < 30.0:
        now += CHECK_S
        found = clock.read(now, min(now, 10.0))
    assert 30.0 - WINDOW_S <= found <= 30.0


def test_without_cpu_times_the_wall_clock_counts() -> None:
    """As where the system does not say them, or the process is gone."""
    clock = WorkClock(0.0, None)
    assert clock.read(7.0, None) == 7.0
    assert WorkClock(0.0, 0.0).read(7.0, None) == 7.0


def test_what_nobody_could_see_does_not_count() -> None:
    clock = WorkClock(0.0, 0.0)
    clock.pardon(100.0)
    assert clock.read(107.0, 0.0) == 7.0
    assert clock.began == 100.0


@given(st.lists(st.tuples(st.floats(0.01, 20.0), st.floats(0.0, 3.0)), min_size=1, max_size=40))
def test_never_more_than_the_wall_clock_and_never_less_than_the_work(looks: list[tuple[float, float]]) -> None:
    """Whatever the process did between whichever looks; work of several threads at a time counts once."""
    clock, now, cpu_s, least = WorkClock(0.0, 0.0), 0.0, 0.0, 0.0
    for seconds, share in looks:
        now, cpu_s = now + seconds, cpu_s + seconds * share
        found = clock.read(now, cpu_s)
        assert -1e-6 <= found <= now + 1e-6
    least = min(cpu_s, now)
    assert max(share for _, share in looks) > 1.0 or found >= least - 1e-6


# --- and so the verdicts -----------------------------------------------------------------------------


def ready() -> Liveness:
    liveness = Liveness(LIMITS, 0.0)
    liveness.hello(0.0, 0.0)
    liveness.ready(0.0, 0.0)
    return liveness


def replaced_at(liveness: Liveness, share: float, until: float, began: float = 0.0) -> float | None:
    """When it is to be replaced, with that share of a CPU; None where that is later than `until`."""
    now = began
    while now < until:
        now += CHECK_S
        if liveness.verdict(now, share * now) is not None:
            return now
    return None


def test_a_starved_job_has_more_time_and_is_told() -> None:
    """A tenth of a CPU is ten times the time; one that turns for ever with that uses it up."""
    liveness = ready()
    liveness.job_started(7, JOB_S, 0.0, 0.0)
    assert replaced_at(liveness, 0.2, 4 * JOB_S) is None
    overtime = liveness.overtime(4 * JOB_S, 80.0)
    assert overtime is not None and (overtime.doing, overtime.waited_s, overtime.cpu_s) == ("at job 7", 400.0, 80.0)
    at = replaced_at(liveness, 0.2, 10 * JOB_S, began=4 * JOB_S)
    assert at is not None and 4.5 * JOB_S < at < 5.5 * JOB_S


def test_a_job_that_hangs_or_turns_is_replaced_at_its_limit() -> None:
    for share in (0.0, 0.001, 1.0, 2.0):
        liveness = ready()
        liveness.job_started(7, JOB_S, 0.0, 0.0)
        assert liveness.overtime(JOB_S, share * JOB_S) is None
        at = replaced_at(liveness, share, 10 * JOB_S)
        assert at is not None and JOB_S + STACKS_S < at <= JOB_S + STACKS_S + 2 * CHECK_S


def test_there_is_an_end_to_it() -> None:
    """Next to no CPU, but enough to be at work: it is replaced in the end all the same."""
    liveness = ready()
    liveness.job_started(7, JOB_S, 0.0, 0.0)
    at = replaced_at(liveness, 0.01, 20 * JOB_S)
    assert at is not None and at <= MOST_TIMES * (JOB_S + STACKS_S) + CHECK_S


def test_progress_gives_a_job_its_limit_anew() -> None:
    """As on a graphics card that others use: the process waits, or turns, and is as far as it says. Not for ever."""
    liveness = ready()
    liveness.progress(5, 0.0, 0.0)
    liveness.job_started(7, JOB_S, 0.0, 0.0)
    now, parts = 0.0, 5
    while now < 9 * JOB_S:
        now, parts = now + JOB_S / 2, parts + 1
        liveness.progress(parts, now, now)
        assert liveness.verdict(now, now) is None
    assert liveness.verdict(now + JOB_S / 2, now) is None
    assert liveness.verdict(now + JOB_S + 2 * STACKS_S, now + JOB_S) is not None
    while now < 11 * JOB_S:
        now, parts = now + JOB_S / 2, parts + 1
        liveness.progress(parts, now, now)
    assert liveness.verdict(now, now) is not None


def test_a_start_that_is_starved_is_waited_for() -> None:
    """Four processes that import at the same moment on a busy machine have a tenth of a CPU each."""
    starved, dead = Liveness(LIMITS, 0.0), Liveness(LIMITS, 0.0)
    assert replaced_at(starved, 0.1, 5 * LIMITS.hello_s) is None
    at = replaced_at(dead, 0.0, 5 * LIMITS.hello_s)
    assert at is not None and at <= LIMITS.hello_s + 2 * CHECK_S


def test_a_load_that_is_starved_is_waited_for() -> None:
    liveness = Liveness(LIMITS, 0.0)
    liveness.hello(0.0, 0.0)
    assert replaced_at(liveness, 0.3, 2 * LIMITS.load_s) is None


def test_an_idle_process_that_is_starved_is_waited_for() -> None:
    """It gives memory back after a job, say, on a machine that is busy: it uses CPU, and beats later."""
    assert replaced_at(ready(), 0.2, 3 * LIMITS.silence_s) is None
    assert replaced_at(ready(), 0.0, 3 * LIMITS.silence_s) is not None
