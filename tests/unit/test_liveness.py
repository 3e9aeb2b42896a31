"""Signs of life of one incarnation, and the verdict that they lead to."""

from hypothesis import given
from hypothesis import strategies as st

from wernicke_daemon.processes.liveness import STACKS_S, Limits, Liveness

LIMITS = Limits(hello_s=30.0, load_s=900.0, silence_s=10.0)
JOB_S = 120.0


def ready(now: float = 0.0) -> Liveness:
    liveness = Liveness(LIMITS, now)
    liveness.hello(now)
    liveness.ready(now)
    return liveness


def after(liveness: Liveness, now: float) -> str | None:
    """The verdict where heartbeats never stop."""
    liveness.heartbeat(now)
    return liveness.verdict(now)


def test_must_say_hello() -> None:
    """A process that never connects is given up after the limit, not before."""
    liveness = Liveness(LIMITS, 100.0)
    assert liveness.verdict(130.0) is None
    assert liveness.verdict(130.1) == "did not say hello"


def test_must_finish_loading() -> None:
    """Loading has a limit of its own, from hello on; the process writes its stacks before its end."""
    liveness = Liveness(LIMITS, 0.0)
    liveness.hello(20.0)
    assert liveness.verdict(920.0 + STACKS_S) is None
    assert liveness.verdict(920.1 + STACKS_S) == "did not finish loading"


def test_missing_heartbeats_do_not_count_while_loading() -> None:
    """An import may hold the GIL for long: heartbeats that come and stop before READY prove nothing."""
    liveness = Liveness(LIMITS, 0.0)
    liveness.hello(1.0)
    liveness.heartbeat(2.0)
    assert liveness.verdict(800.0) is None


def test_silence_after_ready() -> None:
    """A ready stage must be heard of."""
    liveness = ready()
    assert liveness.verdict(10.0) is None
    assert liveness.verdict(10.5) == "sent no heartbeat for 10.5 s"


def test_a_heartbeat_is_a_sign_of_life() -> None:
    """Each heartbeat starts the wait anew; an idle stage that beats lives for ever."""
    liveness = ready()
    for second in range(1, 10_000, 9):
        assert after(liveness, float(second)) is None


def test_a_job_has_the_limit_that_came_with_it() -> None:
    """Heartbeats do not save a stage whose job takes for ever; its stacks are written before its end."""
    liveness = ready()
    liveness.job_started(7, 200.0, 1000.0)
    assert after(liveness, 1200.0 + STACKS_S) is None
    assert after(liveness, 1200.1 + STACKS_S) == "worked on job 7 for more than 200 s"


def test_heartbeats_are_not_missed_while_a_job_is_at_work() -> None:
    """Recognition may hold the GIL, and with it the thread that beats, for as long as its job may take."""
    liveness = ready()
    liveness.job_started(7, 200.0, 5.0)
    assert liveness.verdict(205.0) is None


def test_an_end_is_a_sign_of_life() -> None:
    """The wait for a heartbeat begins anew when a job is over: none may have come while it was at work."""
    liveness = ready()
    liveness.job_started(7, 200.0, 5.0)
    liveness.job_finished(7, 100.0)
    assert liveness.verdict(100.0 + LIMITS.silence_s) is None
    assert liveness.verdict(100.5 + LIMITS.silence_s) == "sent no heartbeat for 10.5 s"


def test_a_finished_job_has_no_limit_any_more() -> None:
    """Idle time after a job is no fault."""
    liveness = ready()
    liveness.job_started(7, JOB_S, 0.0)
    liveness.job_finished(7, 1.0)
    assert after(liveness, 10_000.0) is None


def test_each_job_has_its_own_limit() -> None:
    """The next job starts the limit anew, also where its start is heard of before the end of the one before."""
    liveness = ready()
    liveness.job_started(7, JOB_S, 0.0)
    liveness.job_started(8, JOB_S, 100.0)
    liveness.job_finished(7, 100.0)
    assert after(liveness, 220.0 + STACKS_S) is None
    assert after(liveness, 220.1 + STACKS_S) == "worked on job 8 for more than 120 s"


def test_an_end_that_overtakes_its_start() -> None:
    """Starts and ends travel on different sockets: a job known to be over is not waited for."""
    liveness = ready()
    liveness.job_finished(7, 0.0)
    liveness.job_started(7, JOB_S, 0.0)
    assert after(liveness, 10_000.0) is None


def test_a_cancelled_job_ends_without_a_start() -> None:
    """An end whose start never comes does not hide the limit of later jobs."""
    liveness = ready()
    liveness.job_finished(7, 0.0)
    liveness.job_started(8, JOB_S, 0.0)
    assert after(liveness, 121.0 + STACKS_S) == "worked on job 8 for more than 120 s"


def test_a_job_must_be_begun() -> None:
    """A process that beats but takes no job is stuck between two, or never got this one; nobody else would notice."""
    liveness = ready()
    liveness.job_sent(7, 100.0)
    liveness.job_sent(8, 109.0)
    assert after(liveness, 110.0) is None
    assert after(liveness, 110.5) == "did not begin a job for 10.5 s"


def test_a_job_behind_another_waits_for_its_end() -> None:
    """Its time begins when the one before is over, and is over when it is begun or answered."""
    liveness = ready()
    liveness.job_sent(7, 0.0)
    liveness.job_sent(8, 0.0)
    liveness.job_started(7, JOB_S, 1.0)
    assert after(liveness, 100.0) is None
    liveness.job_finished(7, 100.0)
    assert after(liveness, 110.0) is None
    assert after(liveness, 110.5) == "did not begin a job for 10.5 s"
    liveness.pardon(5.0)
    assert after(liveness, 115.0) is None
    liveness.job_started(8, JOB_S, 115.0)
    assert after(liveness, 200.0) is None
    liveness.job_finished(8, 200.0)
    assert after(liveness, 10_000.0) is None


@given(st.lists(st.booleans(), max_size=12), st.data())
def test_starts_and_ends_in_any_interleaving(cancelled: list[bool], data: st.DataObject) -> None:
    """Whatever order the two streams arrive in, a stage that did everything is idle; one that did not is not."""
    starts = [job for job, skipped in enumerate(cancelled) if not skipped]
    ends = list(range(len(cancelled)))
    liveness = ready()
    for job in ends:
        liveness.job_sent(job, 0.0)
    while starts or ends:
        if starts and (not ends or data.draw(st.booleans())):
            liveness.job_started(starts.pop(0), JOB_S, 0.0)
        else:
            liveness.job_finished(ends.pop(0), 0.0)
    assert after(liveness, 10_000.0) is None
    liveness.job_started(99, JOB_S, 10_000.0)
    assert after(liveness, 20_000.0) is not None
