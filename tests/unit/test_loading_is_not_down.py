"""How long a required stage is down: the time in which it loads is not counted, unless it has failed."""

from wernicke_daemon.dispatch.availability import Availability

DOWN_LIMIT_S = 120.0
LOAD_S = 900.0


def up() -> Availability:
    made = Availability(20.0, DOWN_LIMIT_S, 0.0)
    made.up("asr", "real")
    return made


def test_a_load_under_way_is_not_counted() -> None:
    """As long as it may take, before and after it what there was of waiting."""
    made = up()
    made.down("asr", False, 0.0)
    made.loading("asr", 60.0)
    assert not made.given_up("asr", 60.0 + LOAD_S)
    made.down("asr", False, 60.0 + LOAD_S)
    assert not made.given_up("asr", 60.0 + LOAD_S + DOWN_LIMIT_S / 2)
    assert made.given_up("asr", 60.1 + LOAD_S + DOWN_LIMIT_S / 2)


def test_one_that_has_failed_is_down_while_it_loads() -> None:
    """It died at loading again and again, and is tried rarely: nothing waits for that."""
    made = up()
    made.down("asr", True, 0.0)
    made.loading("asr", 1.0)
    assert made.given_up("asr", DOWN_LIMIT_S + 0.1)


def test_a_daemon_that_starts_waits_for_the_first_load() -> None:
    made = Availability(20.0, DOWN_LIMIT_S, 0.0)
    made.loading("asr", 0.0)
    assert not made.given_up("asr", LOAD_S)


def test_the_next_outage_begins_anew() -> None:
    made = up()
    made.down("asr", False, 0.0)
    made.loading("asr", 100.0)
    made.up("asr", "real")
    made.down("asr", False, 200.0)
    assert not made.given_up("asr", 200.0 + DOWN_LIMIT_S)
    assert made.given_up("asr", 200.1 + DOWN_LIMIT_S)


def test_a_stage_that_is_up_can_not_be_interrupted() -> None:
    """A spare that loads beside it is nobody's outage."""
    made = up()
    made.loading("asr", 0.0)
    assert not made.given_up("asr", 1e6) and made.is_up("asr")
