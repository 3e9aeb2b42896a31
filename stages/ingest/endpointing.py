"""Where utterances begin and end: a pure state machine on samples, speech probabilities and idle time.

Every function takes the state and returns the next one; nothing is remembered elsewhere and no clock is read, so
the same news give the same boundaries however they are split over calls. Positions are samples of the session.

    nothing open ──speech──▶ open ──silence_s without speech──▶ closed: up to the last speech and the post-roll
                              │
                              └──max_utterance_s──▶ cut in the least speech-like place; the rest stays open

An open utterance is one or more *phrases*: speech between pauses of `phrase_pause_s`.
"""

import math
from collections.abc import Iterable

import msgspec

from ipc.audio_handle import SAMPLE_RATE, VAD_WINDOW
from ipc.messages import Boundary, OpenSpeech, Spans, Trigger, within
from ipc.settings import VadSettings

WHISPER_SAMPLES = 480_000
"""Longest audio that Whisper takes in at once: 30 s at 16 kHz."""

HYSTERESIS = 0.15
"""Speech that has begun goes on down to this much below the threshold (as in Silero's own reference code)."""

LEAST_SPEECH = 0.01
"""No threshold is below this: a window under the level gate has probability 0 and is never speech."""

BREATH = SAMPLE_RATE // 5
"""Samples without speech up to which it goes on as one span: closures within words are shorter than 0.2 s. It bounds
their number, too."""

SIDE = 3
"""Windows on either side of a cut that its score is the mean of: about 0.2 s in all, the length of a syllable."""


class Rules(msgspec.Struct, frozen=True):
    """[vad] of config.toml in samples."""

    onset: float  # probability from which speech begins
    release: float  # probability from which it goes on
    silence: int  # that ends an utterance; whole windows
    longest: int  # utterance
    cut_search: int  # how far back from there a place to cut is sought
    pre_roll: int  # kept before the first speech
    post_roll: int  # kept after the last speech
    least_speech: int  # less is no utterance
    phrase_pause: int  # at least the post-roll, so that a phrase's end does not move while its pause goes on


class CutCandidate(msgspec.Struct, frozen=True, array_like=True):
    """A window after which the open utterance may be cut for its length, with what was known of it there. position:
    sample after the window. score: the window's speech probability; of the best place, the mean around it.
    speech_samples, last_speech_end: as in Boundary, up to there."""

    position: int
    score: float
    speech_samples: int
    last_speech_end: int


class OpenUtterance(msgspec.Struct, frozen=True, array_like=True):
    """What is known of the open utterance."""

    start: int  # first sample, pre-roll included
    speech_samples: int  # as in Boundary
    last_speech_end: int  # as in Boundary
    idle: int = 0  # samples' worth of time since the last speech in which nothing was received
    recent: tuple[CutCandidate, ...] = ()  # the last 2 * SIDE windows, once it is long enough for a cut to be sought
    cut: CutCandidate | None = None  # the best place to cut so far, None before that
    phrase_start: int = 0  # first sample of its last phrase, with as much of the pre-roll as the phrase before leaves
    speech: Spans = ()  # as in Boundary


class Endpointing(msgspec.Struct, frozen=True, array_like=True):
    """State of one session. position: next sample to examine. floor: no utterance begins before it (end of the
    last one). utterance: the open one."""

    position: int
    floor: int
    utterance: OpenUtterance | None = None


def rules_from(settings: VadSettings) -> Rules:
    """The search for a cut covers half an utterance at most, so that what is left over is never full again."""
    onset = max(settings.speech_probability, LEAST_SPEECH)
    longest = min(_samples(settings.max_utterance_s), WHISPER_SAMPLES)
    return Rules(
        onset=onset,
        release=max(onset - HYSTERESIS, LEAST_SPEECH),
        silence=_nearest_windows(settings.silence_s),
        longest=longest,
        cut_search=min(_samples(settings.cut_search_s), longest // 2),
        pre_roll=_samples(settings.pre_roll_s),
        post_roll=_samples(settings.post_roll_s),
        least_speech=_samples(settings.min_speech_s),
        phrase_pause=_samples(max(settings.phrase_pause_s, settings.post_roll_s)),
    )


def begin(position: int) -> Endpointing:
    """A session whose first sample to examine is at `position`; nothing before it belongs to an utterance."""
    return Endpointing(position=position, floor=position)


def hear(
    state: Endpointing, rules: Rules, count: int, probabilities: Iterable[float]
) -> tuple[Endpointing, list[Boundary]]:
    """Examine `count` samples: one probability for each window, of which the last may be incomplete."""
    last = state.position + count
    boundaries: list[Boundary] = []
    for probability in probabilities:
        end = min(state.position + VAD_WINDOW, last)
        state, boundary = _hear_window(state, rules, end, probability)
        if boundary is not None:
            boundaries.append(boundary)
    return state, boundaries


def wait(state: Endpointing, rules: Rules, idle_s: float) -> tuple[Endpointing, list[Boundary]]:
    """Nothing was received for `idle_s` seconds after the samples heard so far."""
    if state.utterance is None:
        return state, []
    waited = msgspec.structs.replace(state.utterance, idle=state.utterance.idle + _samples(idle_s))
    state = Endpointing(state.position, state.floor, waited)
    return finish(state, rules, "silence") if _silence(waited, state.position) >= rules.silence else (state, [])


def finish(state: Endpointing, rules: Rules, trigger: Trigger) -> tuple[Endpointing, list[Boundary]]:
    """End the open utterance, if there is one, after the post-roll or with what was received of it."""
    open_ = state.utterance
    if open_ is None:
        return state, []
    end = min(open_.last_speech_end + rules.post_roll, state.position)
    boundary = Boundary(open_.start, end, trigger, open_.speech_samples, open_.last_speech_end, open_.speech)
    return Endpointing(state.position, floor=end), [boundary]


def enough_speech(boundary: Boundary, rules: Rules) -> bool:
    return boundary.speech_samples >= rules.least_speech


def so_far(state: Endpointing, rules: Rules) -> OpenSpeech | None:
    """The open utterance, once it holds enough speech to become one."""
    open_ = state.utterance
    if open_ is None or open_.speech_samples < rules.least_speech:
        return None
    return OpenSpeech(
        start=open_.start,
        phrase_start=open_.phrase_start,
        last_speech_end=open_.last_speech_end,
        end=min(open_.last_speech_end + rules.post_roll, state.position),
        silence=_silence(open_, state.position),
        paused=_silence(open_, state.position) >= rules.phrase_pause,
        full_at=open_.start + rules.longest,
        ends_at=_ends_at(open_, state.position, rules),
        speech=open_.speech,
    )


def retain_from(state: Endpointing, rules: Rules) -> int:
    """First sample that an utterance, open or to come, may begin with."""
    if state.utterance is not None:
        return state.utterance.start
    return max(state.position - rules.pre_roll, state.floor)


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def _nearest_windows(seconds: float) -> int:
    """Samples of the number of windows, one at least, that comes nearest; of two the lower. The window with the last
    speech is silent from somewhere within it on, so silence is known to half a window at best, and waiting for the
    next one would put every end off by half a window."""
    return max(1, math.ceil(_samples(seconds) / VAD_WINDOW - 0.5)) * VAD_WINDOW


def _silence(utterance: OpenUtterance, position: int) -> int:
    """Time without speech, in samples: what was received since, and time in which nothing was."""
    return position - utterance.last_speech_end + utterance.idle


def _ends_at(utterance: OpenUtterance, position: int, rules: Rules) -> int:
    """The end of the window with which silence is long enough."""
    lacking = max(0, rules.silence - _silence(utterance, position))
    return position + -(-lacking // VAD_WINDOW) * VAD_WINDOW


def _hear_window(state: Endpointing, rules: Rules, end: int, probability: float) -> tuple[Endpointing, Boundary | None]:
    """Full means that one more window would not fit: the cut is made then, as waiting would not better it."""
    utterance = _take(state, rules, end, probability)
    state = Endpointing(end, state.floor, utterance)
    if utterance is None:
        return state, None
    if _silence(utterance, end) >= rules.silence:
        state, (boundary,) = finish(state, rules, "silence")
        return state, boundary
    return _cut(state, utterance) if end + VAD_WINDOW > utterance.start + rules.longest else (state, None)


def _take(state: Endpointing, rules: Rules, end: int, probability: float) -> OpenUtterance | None:
    """The open utterance with one more window, one that opens with it, or None."""
    before = state.utterance
    goes_on = before is not None and before.last_speech_end == state.position
    speech = probability >= (rules.release if goes_on else rules.onset)
    if before is None:
        start = max(state.position - rules.pre_roll, state.floor)
        heard = _with((), state.position, end)
        return OpenUtterance(start, end - state.position, end, phrase_start=start, speech=heard) if speech else None
    if speech:
        candidate = CutCandidate(end, probability, before.speech_samples + end - state.position, end)
    else:
        candidate = CutCandidate(end, probability, before.speech_samples, before.last_speech_end)
    recent, cut = _seek_cut(before, rules, candidate)
    idle = 0 if speech else before.idle
    phrase_start = _phrase_start(before, state, rules) if speech else before.phrase_start
    heard = _with(before.speech, state.position, end) if speech else before.speech
    return OpenUtterance(
        before.start, candidate.speech_samples, candidate.last_speech_end, idle, recent, cut, phrase_start, heard
    )


def _with(spans: Spans, start: int, end: int) -> Spans:
    """The spans and what follows them, as one with the last of them after a short pause."""
    if spans and start - spans[-1][1] <= BREATH:
        return (*spans[:-1], (spans[-1][0], end))
    return (*spans, (start, end))


def _phrase_start(before: OpenUtterance, state: Endpointing, rules: Rules) -> int:
    """Speech goes on: in the same phrase, or after a pause in the next one. A pause in which nothing was received is
    no audio: then the next phrase begins where the one before ends, rolls or not."""
    if _silence(before, state.position) < rules.phrase_pause:
        return before.phrase_start
    return min(max(state.position - rules.pre_roll, before.last_speech_end + rules.post_roll), state.position)


def _seek_cut(
    before: OpenUtterance, rules: Rules, candidate: CutCandidate
) -> tuple[tuple[CutCandidate, ...], CutCandidate | None]:
    """The last windows, and the best place to cut up to SIDE windows before `candidate`; the later of equals."""
    if candidate.position <= before.start + rules.longest - rules.cut_search:
        return (), None
    recent = (*before.recent[1 - 2 * SIDE :], candidate)
    if len(recent) < 2 * SIDE:
        return recent, None
    score = sum(window.score for window in recent) / len(recent)
    if before.cut is not None and before.cut.score < score:
        return recent, before.cut
    return recent, msgspec.structs.replace(recent[SIDE - 1], score=score)


def _cut(state: Endpointing, full: OpenUtterance) -> tuple[Endpointing, Boundary]:
    """The rest stays open without pre-roll if it holds speech; its own search for a cut lies wholly ahead."""
    cut = full.cut
    assert cut is not None, "the shortest search (0.5 s) holds more windows than a place to cut needs"
    said, heard = within(full.speech, full.start, cut.position), within(full.speech, cut.position, state.position)
    boundary = Boundary(full.start, cut.position, "max_duration", cut.speech_samples, cut.last_speech_end, said)
    speech = full.speech_samples - cut.speech_samples
    phrase_start = max(cut.position, full.phrase_start)
    rest = (
        OpenUtterance(cut.position, speech, full.last_speech_end, full.idle, phrase_start=phrase_start, speech=heard)
        if speech
        else None
    )
    return Endpointing(state.position, cut.position, rest), boundary
