"""The picture of the last utterances: which stage was at work on which of them, and when. Pure."""

from collections.abc import Callable, Iterator, Sequence

from wernicke_daemon.tuning import svg
from wernicke_daemon.tuning.lines import Utterance

SHOWN = ("asr", "diarization", "correction")
APART_S = 60.0
"""Longer without a result, and what was before is another conversation."""
WIDTH, LEFT, ROW, LANE = 960.0, 64.0, 30.0, 7.0

Words = Callable[..., str]
"""From a key of `words.json`, and what is to be put in, to words."""


def last_talk(utterances: Sequence[Utterance]) -> list[Utterance]:
    """utterances: in order. The last of them, as far as they are near each other."""
    found: list[Utterance] = []
    for utterance in reversed(utterances):
        if found and found[-1].left - utterance.left > APART_S:
            break
        found.append(utterance)
    return found[::-1]


def triggered(utterance: Utterance) -> float:
    """When its end was found, in seconds since 1970."""
    return utterance.left - utterance.latency_ms / 1000


def began(utterance: Utterance) -> float:
    """When its first sample came."""
    if utterance.final_s is not None:
        return utterance.left - utterance.final_s
    return triggered(utterance) - utterance.audio_s


def at_once(utterances: Sequence[Utterance]) -> float | None:
    """Share of the time in which a stage was at work, in which another one was as well. None where none was."""
    edges: list[tuple[float, int]] = []
    for utterance in utterances:
        at = triggered(utterance)
        for start, end in (span for stage in SHOWN for span in utterance.worked_ms.get(stage, [])):
            edges += [(at + start / 1000, 1), (at + end / 1000, -1)]
    busy, shared, working, since = 0.0, 0.0, 0, 0.0
    for moment, change in sorted(edges):
        busy += (moment - since) * (working > 0)
        shared += (moment - since) * (working > 1)
        working, since = working + change, moment
    return shared / busy if busy else None


def picture(utterances: Sequence[Utterance], words: Words) -> str:
    """utterances: at least one, as `last_talk` gives them."""
    origin, end = min(map(began, utterances)), max(utterance.left for utterance in utterances)
    scale = svg.Scale(0.0, max(1.0, end - origin), LEFT, WIDTH - 12)
    height = 8 + ROW * len(utterances)
    parts = [*_grid(scale, height)]
    sessions = list(dict.fromkeys(utterance.session for utterance in utterances))
    for row, utterance in enumerate(utterances):
        label = f"{chr(ord('A') + sessions.index(utterance.session) % 26)} {utterance.sequence}"
        parts += _row(utterance, 8 + ROW * row, label, lambda at: scale(at - origin), words)
    return svg.picture(WIDTH, height + 24, words("overlap"), parts)


def _grid(scale: svg.Scale, height: float) -> Iterator[str]:
    for tick in scale.ticks(10):
        yield svg.line(scale(tick), 4, scale(tick), height, "grid")
        yield svg.text(scale(tick), height + 16, f"{tick:g} s", "axis", "middle")


def _row(utterance: Utterance, y: float, label: str, place: Callable[[float], float], words: Words) -> Iterator[str]:
    at, start = triggered(utterance), place(began(utterance))
    said = words("overlap.said", seconds=f"{utterance.audio_s:.1f}")
    yield svg.text(LEFT - 8, y + 16, label, "axis", "end")
    yield svg.rect(start, y, place(at) - start, 3 * LANE + 2, "said", said)
    for lane, stage in enumerate(SHOWN):
        top = y + 1 + lane * LANE
        for begin, end in utterance.worked_ms.get(stage, []):
            left, right = place(at + begin / 1000), place(at + end / 1000)
            title = f"{words(f'stage.{stage}')}: {svg.seconds(end - begin)}"
            yield svg.rect(left, top, right - left, LANE - 1.5, f"stage-{stage}", title)
        yield from _waiting(utterance, stage, top + LANE / 2 - 0.75, place)
    yield svg.line(place(at), y - 1, place(at), y + 3 * LANE + 3, "trigger")
    left = place(utterance.left)
    mark = f"M{left:.1f} {y + 7:.1f}l4 4-4 4-4-4z"
    yield svg.element("path", svg.element("title", svg.seconds(utterance.latency_ms)), d=mark, class_="result")


def _waiting(utterance: Utterance, stage: str, y: float, place: Callable[[float], float]) -> Iterator[str]:
    """Of the last job, as a thin line before its work."""
    if (waited := utterance.queued_ms.get(stage, 0.0)) >= 20 and utterance.worked_ms.get(stage):
        at = triggered(utterance) + utterance.worked_ms[stage][-1][0] / 1000
        yield svg.line(place(at - waited / 1000), y, place(at), y, f"waits line-{stage}")
