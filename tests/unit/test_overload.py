"""What is left out while results are behind, and when it is taken up again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipc.messages import STAGES, StageName
from wernicke_daemon.dispatch.overload import Shedding

AFTER_S = 20.0


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(0.0, 0), (AFTER_S - 0.1, 0), (AFTER_S, 1), (29.9, 1), (30.0, 2), (39.9, 2), (40.0, 3), (1e6, 3)],
)
def test_levels_begin_at_multiples(seconds: float, level: int) -> None:
    """1, 1.5 and 2 times the limit, reached in one step or in several."""
    shedding = Shedding(AFTER_S)
    assert shedding.behind(seconds) is (level > 0)
    assert shedding.level == level


def test_a_level_lasts_until_well_below_the_limit() -> None:
    """It does not flap around the limit: a level is kept until results are less than half of it behind."""
    shedding = Shedding(AFTER_S)
    shedding.behind(AFTER_S * 1.5)
    assert not shedding.behind(AFTER_S / 2)
    assert shedding.level == 2
    assert shedding.behind(AFTER_S / 2 - 0.1)
    assert shedding.level == 0


def test_correction_is_shed_before_speakers_and_text_never() -> None:
    """Level 1 leaves out no stage, 2 correction, 3 diarization too; what is accepted is always recognised."""
    shed: list[set[StageName]] = []
    for factor in (0.0, 1.0, 1.5, 2.0):
        shedding = Shedding(AFTER_S)
        shedding.behind(AFTER_S * factor)
        shed.append({stage for stage in STAGES if shedding.sheds(stage)})
    assert shed == [set(), set(), {"correction"}, {"correction", "diarization"}]


@given(st.lists(st.floats(0, 100)))
def test_changes_are_told_and_nothing_else(ages: list[float]) -> None:
    """True exactly where the level differs from before; below half the limit it is always 0."""
    shedding = Shedding(AFTER_S)
    for seconds in ages:
        before = shedding.level
        assert shedding.behind(seconds) is (shedding.level != before)
        assert shedding.level == 0 or seconds >= AFTER_S / 2
        assert shedding.level >= (seconds >= AFTER_S) + (seconds >= 1.5 * AFTER_S) + (seconds >= 2 * AFTER_S)
