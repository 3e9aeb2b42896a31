"""Which characters are aligned, and times of all from what whisperx says of those. Pure."""

from collections.abc import Container, Mapping

from ipc.messages import Word
from stages.asr.alignment.words import has_sound

Timing = Mapping[str, float | str]
"""Of one character: "start" and "end" in seconds and "score" 0…1, all three or none of them."""
UNTIMED: Timing = {}


def audible(text: str, known: Container[str]) -> list[int]:
    """Indices of characters to be looked for in the audio: those with a sound, known to the model or not, and blanks.

    known: the model's characters, in lower case. whisperx takes a character that the model does not know for whatever
    is said there, which is right for a digit; a full stop would take a sound from its neighbour.
    """
    return [i for i, character in enumerate(text) if has_sound(character) or character in known or character == " "]


def timed(text: str, timings: Mapping[int, Timing], start: float, end: float) -> list[Word]:
    """One Word per character, in time order and between start and end (seconds).

    timings: by index in the text. Characters without a time share the gap between their neighbours equally; their score
    is 0, for nothing speaks for them.
    """
    words: list[Word] = []
    before = start
    for index, character in enumerate(text):
        timing = timings.get(index, UNTIMED)
        if "start" not in timing:
            timing = {"start": before, "end": before + share_of_gap(text, timings, index, before, end), "score": 0.0}
        first = min(max(float(timing["start"]), before), end)
        before = min(max(float(timing["end"]), first), end)
        words.append(Word(first, before, character, min(1.0, max(0.0, float(timing["score"])))))
    return words


def share_of_gap(text: str, timings: Mapping[int, Timing], index: int, before: float, end: float) -> float:
    """Seconds for the character at `index`, which has no time, as have perhaps some after it."""
    following = next((i for i in range(index, len(text)) if "start" in timings.get(i, UNTIMED)), len(text))
    after = float(timings[following]["start"]) if following < len(text) else end
    return max(0.0, after - before) / (following - index)
