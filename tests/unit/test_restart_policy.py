"""When a stage that died is started again, and when it counts as failed."""

import pytest

from wernicke_daemon.processes.restart_policy import RestartPolicy

MOST = 3
WINDOW_S = 60.0
FIRST_S = 0.5
LAST_S = 30.0
STABLE_S = 60.0


def policy(most: int = MOST, last_s: float = LAST_S) -> RestartPolicy:
    return RestartPolicy(most, WINDOW_S, FIRST_S, last_s, STABLE_S, jitter=lambda: 1.0)


def crash_loop(restarts: RestartPolicy, deaths: int, now: float = 0.0) -> tuple[list[float], float]:
    """Delays of a stage that dies the moment it is started, and the time of its last death."""
    delays: list[float] = []
    for _ in range(deaths):
        now += sum(delays[-1:])
        delays.append(restarts.died(now))
    return delays, now


def test_the_first_death_is_answered_at_once() -> None:
    """One crash costs no waiting."""
    assert policy().died(1000.0) == 0.0


def test_backoff_doubles_up_to_its_limit() -> None:
    """Each further death doubles the wait, up to the longest."""
    delays, _ = crash_loop(policy(most=100, last_s=3.0), 6)
    assert delays == [0.0, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_jitter_multiplies_the_wait() -> None:
    """Stages that died together do not start together."""
    restarts = RestartPolicy(10, WINDOW_S, FIRST_S, LAST_S, STABLE_S, jitter=lambda: 1.2)
    delays, _ = crash_loop(restarts, 3)
    assert delays == [0.0, pytest.approx(0.6), pytest.approx(1.2)]


def test_default_jitter_stays_near_the_wait() -> None:
    """Without a jitter given waits differ by at most a fifth."""
    for _ in range(50):
        restarts = RestartPolicy(10, WINDOW_S, FIRST_S, LAST_S, STABLE_S)
        restarts.died(0.0)
        assert 0.8 * FIRST_S <= restarts.died(1.0) <= 1.2 * FIRST_S


def test_too_many_deaths_mean_failed() -> None:
    """`most` deaths in the window are borne, one more is not."""
    restarts = policy()
    _, now = crash_loop(restarts, MOST)
    assert not restarts.failed
    assert restarts.died(now) == LAST_S
    assert restarts.failed


def test_deaths_far_apart_are_not_failure() -> None:
    """Deaths that leave the window no longer count."""
    restarts = policy()
    for hour in range(20):
        restarts.ready(hour * 3600.0)
        assert restarts.died(hour * 3600.0 + 1.0) == 0.0
    assert not restarts.failed


def test_a_slow_load_is_no_way_around_the_limit() -> None:
    """A large model that never gets up is a crash loop, however long each of its tries takes."""
    restarts = policy()
    delays = [restarts.died(load * WINDOW_S) for load in range(1, MOST + 2)]
    assert delays == [0.0, FIRST_S, 2 * FIRST_S, LAST_S]
    assert restarts.failed


def test_a_failed_stage_is_tried_slowly_for_good() -> None:
    """A stage that never gets up stays failed, even when its waits are so long that deaths leave the window."""
    restarts = policy()
    _, now = crash_loop(restarts, MOST + 1)
    delays, _ = crash_loop(restarts, 20, now)
    assert delays == [LAST_S] * 20
    assert restarts.failed


def test_a_short_life_does_not_redeem() -> None:
    """Getting ready and dying soon after is the same crash loop."""
    restarts = policy()
    _, now = crash_loop(restarts, MOST + 1)
    restarts.ready(now)
    assert restarts.died(now + STABLE_S - 1.0) == LAST_S
    assert restarts.failed


def test_stable_running_redeems() -> None:
    """After stable running the next death is the first one."""
    restarts = policy()
    _, now = crash_loop(restarts, MOST + 1)
    restarts.ready(now)
    assert restarts.died(now + STABLE_S) == 0.0
    assert not restarts.failed


def test_only_running_counts_as_stable() -> None:
    """A long load that ends in death is not stable running."""
    restarts = policy(most=10)
    restarts.ready(0.0)
    restarts.died(1.0)
    assert restarts.died(1.0 + STABLE_S / 2) == FIRST_S
    assert restarts.died(1.0 + WINDOW_S) == 2 * FIRST_S
