"""Text while one speaks, and the final at the moment the silence is long enough: a session in simulated time."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ipc.messages import StageName
from ipc.settings import VadSettings
from tests.simulation import TICK_S, Simulation, Times, policy
from wernicke_daemon.wire.protocol import Error, Final, Partial, Suppressed

VAD = VadSettings(engine="energy", threshold_db=-40.0)
FAST = Times(0.3, 0.02, 0.3, 0.5)
CARD = Times()
SLOW = Times(1.0, 0.3, 1.0, 2.0)

HELD_UP_S = 1.0
"""Seconds by which a final may be later where a job that nobody wants any more could not be stopped: before a cut that
nobody could foresee."""

TRIED_S = 4.0
"""The same with a recogniser that is too slow for early work: that is known only once it was tried."""

Speech = Sequence[tuple[float, float]]
Kills = Sequence[tuple[float, StageName]]


def run(
    speech: Speech,
    times: Times = FAST,
    kills: Kills = (),
    withholds: bool = False,
    replicas: int = 1,
    **options: object,
) -> Simulation:
    """All that is said, and two and a half seconds more."""
    world = Simulation(policy(**options), VAD, times, replicas=replicas)  # type: ignore[arg-type]
    try:
        for at, stage in kills:
            world.after(at, world.stages[stage].kill)
        asyncio.run(world.play(speech, speech[-1][1] + 2.5, withholds))
    finally:
        world.close()
    return world


def finals(world: Simulation) -> list[Final]:
    return [message for _, message in world.outcomes() if isinstance(message, Final)]


def texts(world: Simulation) -> list[tuple[int | None, str]]:
    return [(m.sequence, m.text if isinstance(m, Final) else m.type) for _, m in world.outcomes()]  # type: ignore[union-attr]


ONE = ((0.5, 3.0),)
THREE_PHRASES = ((0.5, 2.5), (3.5, 5.5), (6.5, 9.0))


def test_the_final_is_there_when_the_silence_is_long_enough() -> None:
    """All work was done in the silence; without early work it begins only then."""
    [(at, final)] = run(ONE).outcomes()
    [(without, _)] = run(ONE, early=False, live=False).outcomes()
    assert isinstance(final, Final) and final.segments[0].corrected and final.segments[0].speaker == "Speaker_00"
    assert at - 5.0 <= 2 * TICK_S
    assert without - at >= 0.8


def test_text_while_one_speaks() -> None:
    world = run(((0.5, 6.0),))
    partials = world.partials(1)
    assert [p.stage for p in partials if p.stage == "live"], partials
    first = next(h.at for h in world.heard if isinstance(h.message, Partial))
    assert first - 0.5 <= 1.5
    assert partials[-1].stage in ("asr", "diarized", "corrected")


def test_the_phrases_of_an_utterance_are_shown_at_its_pauses() -> None:
    world = run(THREE_PHRASES)
    [final] = finals(world)
    recognised = [p for p in world.partials(1) if p.stage != "live"]
    ends = sorted({p.timestamp_range.end for p in recognised})
    assert len(ends) == 3 and ends[-1] == final.timestamp_range.end


def test_partials_stop_with_the_final_and_its_revision_is_the_greatest() -> None:
    world = run(THREE_PHRASES)
    [final] = finals(world)
    revisions = [p.revision for p in world.partials(1)]
    assert revisions == list(range(1, len(revisions) + 1)) and final.revision > revisions[-1]
    assert isinstance(world.heard[-1].message, Final)


def test_whole_is_what_it_would_be_without() -> None:
    with_it, without = run(THREE_PHRASES, final="whole"), run(THREE_PHRASES, early=False, live=False)
    assert texts(with_it) == texts(without)


def test_phrases_are_recognised_once_each() -> None:
    """Recognition costs no more than deciding once, and the text is complete."""
    world, once = (
        run(THREE_PHRASES, SLOW, final="phrases", live=False),
        run(THREE_PHRASES, SLOW, early=False, live=False),
    )
    assert [f.text.replace(".", "") for f in finals(world)] == [f.text.replace(".", "") for f in finals(once)]
    per_audio = SLOW.asr_per_audio * 9
    assert world.work_s["early"] + world.work_s["firm"] <= once.work_s["firm"] + 2 * SLOW.asr + per_audio * 0.2


def test_auto_takes_what_the_recogniser_has_time_for() -> None:
    """A fast one hears the whole again at each pause, a slow one each phrase once."""
    quick, slow = run(THREE_PHRASES, FAST, live=False), run(THREE_PHRASES, SLOW, live=False)
    audio_s = sum(end - start for start, end in THREE_PHRASES)
    assert quick.work_s["early"] > 3 * FAST.asr + 1.5 * FAST.asr_per_audio * audio_s
    assert slow.work_s["early"] < 4 * SLOW.asr + 1.5 * SLOW.asr_per_audio * audio_s


def test_no_live_pass_holds_up_the_work_at_a_pause() -> None:
    """Wherever speech ends between two passes."""
    for end in (2.0 + tenths / 10 for tenths in range(10)):
        [(at, final)] = run(((0.5, end),), CARD).outcomes()
        assert isinstance(final, Final)
        assert (
            at
            <= end + VAD.phrase_pause_s + CARD.asr + CARD.asr_per_audio * final.duration + CARD.correction + 2 * TICK_S
        )


def test_a_pause_just_before_the_longest_utterance_is_full_holds_nothing_up() -> None:
    """Silence can't end it there any more, and work on all of it would be for nothing when it is cut. The recogniser is
    known to be fast enough for that from what was said before."""
    speech = ((0.5, 1.5), (4.5, 6.0), (9.0, 37.5), (38.2, 42.0))
    *_, (at, cut), _ = run(speech, live=False).outcomes()
    *_, (without, _), _ = run(speech, early=False, live=False).outcomes()
    assert isinstance(cut, Final) and cut.trigger == "max_duration"
    assert at <= without


def test_a_client_that_withholds_silence_gets_the_same() -> None:
    """A pause may arrive as no audio at all."""
    world = run(ONE, withholds=True)
    [(at, final)] = world.outcomes()
    assert isinstance(final, Final) and len(final.text.split()) == len(finals(run(ONE))[0].text.split())
    assert at <= 5.0 + 2 * TICK_S


def test_without_live_work_phrases_are_shown_all_the_same() -> None:
    world = run(THREE_PHRASES, live=False)
    assert {p.stage for p in world.partials(1)} <= {"asr", "diarized", "corrected"}
    assert world.work_s["live"] == 0.0


def test_with_neither_there_is_one_partial_as_before() -> None:
    world = run(ONE, early=False, live=False)
    assert next(p.stage for p in world.partials(1)) == "asr" and world.work_s["early"] == 0.0


def test_a_finished_sentence_may_end_an_utterance_sooner() -> None:
    """Where it is asked for, and two passes agree; another text waits for the whole silence."""
    for says, ended in (("ですか", 0.8), ("ですが", 2.0)):
        world = Simulation(policy(), VAD, FAST, min_silence_s=0.8, says=says)
        try:
            asyncio.run(world.play(((0.5, 3.0), (6.0, 7.0)), 10.0))
        finally:
            world.close()
        (at, first), _ = world.outcomes()
        assert isinstance(first, Final) and first.trigger == "silence"
        assert ended <= at - 3.0 <= ended + 0.7, says


def test_speech_that_is_lost_is_taken_back() -> None:
    """Text was shown, and then its audio could not be examined: no final comes of it, and the client is told."""
    world = Simulation(policy(), VAD, FAST)
    try:
        asyncio.run(world.play(((0.5, 3.0), (6.0, 8.0)), 10.5, lose_at=2.0))
    finally:
        world.close()
    partials = world.partials(1)
    assert partials[-1].stage == "withdrawn" and partials[-1].text == ""
    kinds = [type(message).__name__ for _, message in world.outcomes()]
    assert kinds[0] == "Suppressed" and "Final" in kinds
    assert [message.sequence for _, message in world.outcomes() if message.sequence] == list(
        range(1, 1 + sum(message.sequence is not None for _, message in world.outcomes()))
    )


# --- anything at all ---


@st.composite
def conversations(draw: st.DrawFn) -> Speech:
    """Phrases of 0.3 to 8 s with pauses of 0.1 to 3 s, in ticks."""
    at, spoken = 0.5, []
    for _ in range(draw(st.integers(1, 8))):
        length, pause = draw(st.integers(6, 160)) * TICK_S, draw(st.integers(2, 60)) * TICK_S
        spoken.append((at, at + length))
        at += length + pause
    return spoken


TIMES = st.sampled_from([FAST, CARD, SLOW])
ANY = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ],  # making a conversation smaller takes minutes, and tells little
)


@ANY
@given(conversations(), TIMES, st.sampled_from(["auto", "whole", "phrases"]), st.booleans(), st.sampled_from([1, 3]))
def test_every_utterance_has_one_final_and_none_is_later(
    speech: Speech, times: Times, final: str, withholds: bool, replicas: int
) -> None:
    """Its range is the one without early work; with "whole", its text and speakers too."""
    with_it = run(speech, times, withholds=withholds, replicas=replicas, final=final)
    without = run(speech, times, withholds=withholds, replicas=replicas, early=False, live=False)
    ahead, behind = with_it.outcomes(), without.outcomes()
    assert [m.sequence for _, m in ahead] == [m.sequence for _, m in behind] == list(range(1, len(ahead) + 1))
    assert [m.timestamp_range for _, m in ahead if isinstance(m, Final)] == [
        m.timestamp_range for _, m in behind if isinstance(m, Final)
    ]
    if final == "whole" and not any("LLM_TIMEOUT" in m.warnings for m in finals(without)):
        assert texts(with_it) == texts(without)
    for (at, mine), (without_at, _) in zip(ahead, behind, strict=True):
        silence = isinstance(mine, Final) and mine.trigger == "silence"
        assert at <= without_at + (TRIED_S if times is SLOW else TICK_S if silence else HELD_UP_S)


@ANY
@given(conversations(), TIMES, st.sampled_from([1, 3]))
def test_what_is_shown_only_gets_better(speech: Speech, times: Times, replicas: int) -> None:
    """Stable text stays, revisions grow, partials come at most twice a second, say nothing twice, and none comes after
    the final."""
    world = run(speech, times, replicas=replicas)
    over: set[int | None] = set()
    last: dict[int, tuple[float, Partial]] = {}
    for each in world.heard:
        message = each.message
        if isinstance(message, Partial):
            assert message.sequence not in over
            if message.sequence in last:
                at, before = last[message.sequence]
                assert message.text.startswith(before.text[: before.stable_chars])
                assert message.revision == before.revision + 1 and message.buffer_id == before.buffer_id
                assert each.at - at >= 0.5 - 1e-6
                speakers = [s.speaker for s in message.segments if s.speaker]
                assert message.text != before.text or speakers
            last[message.sequence] = (each.at, message)
        elif isinstance(message, Final | Suppressed):
            over.add(message.sequence)


@ANY
@given(
    conversations(),
    TIMES,
    st.lists(st.tuples(st.integers(0, 60 * 20), st.sampled_from(["asr", "diarization", "correction"])), max_size=6),
    st.sampled_from([1, 3]),
)
def test_stages_that_die_cost_nothing(
    speech: Speech, times: Times, kills: list[tuple[int, StageName]], replicas: int
) -> None:
    """Whatever dies when, each utterance has the final that it has undisturbed, unless its firm job itself was hit as
    often as is given up on."""
    at_firm: list[float] = []
    world = Simulation(policy(final="whole"), VAD, times, replicas=replicas)
    try:
        for at, stage in kills:
            world.after(at * TICK_S, lambda stage=stage: at_firm.append(world.kill_counting_firm(stage)))  # type: ignore[misc]
        asyncio.run(world.play(speech, speech[-1][1] + 2.5))
    finally:
        world.close()
    calm = run(speech, times, early=False, live=False)
    assert [m.sequence for _, m in world.outcomes()] == [m.sequence for _, m in calm.outcomes()]
    if sum(at_firm) < 2 and not any(m.warnings for m in (*finals(world), *finals(calm))):
        assert texts(world) == texts(calm)
    assert {type(m) for _, m in world.outcomes()} <= {Final, Error} and (sum(at_firm) >= 2 or len(finals(world)) > 0)


@pytest.mark.parametrize("stage", ["asr", "diarization", "correction"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_a_stage_killed_at_early_work_makes_nothing_worse(stage: StageName, replicas: int) -> None:
    """Once in each tenth of a second of the silence."""
    calm = texts(run(ONE, CARD))
    for tenths in range(31, 55):
        world = run(ONE, CARD, kills=[(tenths / 10, stage)], replicas=replicas)
        assert texts(world) == calm
