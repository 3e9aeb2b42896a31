"""The clock of deadlines: it stands still through a restart, but not for ever."""

from wernicke_daemon.dispatch.service_clock import ServiceClock

GRACE_S = 15.0


def clock() -> ServiceClock:
    return ServiceClock(GRACE_S, frozenset({"asr"}), now=100.0)


def test_runs_with_time_while_everything_is_up() -> None:
    """Without an outage seconds of service are seconds."""
    service = clock()
    assert service.read(100.0) == 0.0
    assert service.read(103.5) == 3.5
    assert service.read(110.0) == 10.0


def test_an_outage_does_not_count() -> None:
    """A restart shorter than the grace takes no service time."""
    service = clock()
    service.down("correction", 105.0)
    assert service.read(110.0) == 5.0
    service.up("correction", 112.0)
    assert service.read(113.0) == 6.0


def test_an_optional_stage_stops_it_for_the_grace_only() -> None:
    """After the grace the clock goes on although the stage is still down."""
    service = clock()
    service.down("correction", 100.0)
    assert service.read(100.0 + GRACE_S) == 0.0
    assert service.read(100.0 + GRACE_S + 4.0) == 4.0


def test_the_grace_is_counted_exactly_however_rarely_it_is_read() -> None:
    """One late reading gives the same as many."""
    service = clock()
    service.down("diarization", 101.0)
    assert service.read(101.0 + GRACE_S + 30.0) == 31.0


def test_a_needed_stage_stops_it_for_as_long_as_it_takes() -> None:
    """Without recognition there is no result to wait for."""
    service = clock()
    service.down("asr", 100.0)
    assert service.read(5000.0) == 0.0
    service.up("asr", 5000.0)
    assert service.read(5002.0) == 2.0


def test_dying_again_while_down_does_not_renew_the_grace() -> None:
    """A crash loop is one outage: a stage that dies while starting gets no second grace."""
    service = clock()
    for second in range(100, 200, 5):
        service.down("correction", float(second))
    assert service.read(200.0) == 100.0 - GRACE_S


def test_each_outage_has_a_grace_of_its_own() -> None:
    """A stage that came up and dies again stops the clock again."""
    service = clock()
    service.down("correction", 100.0)
    service.up("correction", 110.0)
    service.down("correction", 111.0)
    assert service.read(111.0 + GRACE_S) == 1.0


def test_overlapping_outages_count_once() -> None:
    """It stands still while any stage is in its grace."""
    service = clock()
    service.down("diarization", 100.0)
    service.down("correction", 110.0)
    assert service.read(110.0 + GRACE_S) == 0.0
    assert service.read(110.0 + GRACE_S + 1.0) == 1.0


def test_up_without_down_is_nothing() -> None:
    """The first start of a stage changes nothing."""
    service = clock()
    service.up("asr", 101.0)
    assert service.read(102.0) == 2.0
