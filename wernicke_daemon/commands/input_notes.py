"""What there is to say about a file that was read, as sentences."""

import math
from collections.abc import Iterator, Sequence

from wernicke_daemon.client import ParsedMessage
from wernicke_daemon.formats import tracks
from wernicke_daemon.formats.audio_files import AudioFile
from wernicke_daemon.formats.file_clock import CUT_OFF, DAMAGED, HOLE, Skipped

_MOST_STRETCHES = 5
"""That are told one by one."""

_WHAT_HAPPENED = {
    DAMAGED: "is damaged: nothing could be read",
    CUT_OFF: "ends before the length that it says it has: nothing was there",
    HOLE: "has a hole: its time stamps leave nothing",
}


def about_track(file: AudioFile) -> str | None:
    """None where there was no choice."""
    if not file.others:
        return None
    return f"Of {file.name} audio track {file.track} is taken; --track takes another: {tracks.listed(file.others)}."


def about_skipped(file: AudioFile) -> Iterator[str]:
    """A sentence for each reason."""
    for reason, happened in _WHAT_HAPPENED.items():
        if stretches := [each for each in file.skipped if each.reason == reason]:
            yield f"{file.name} {happened} {_listed(stretches)}."


def _listed(stretches: Sequence[Skipped]) -> str:
    """Where, and how many seconds."""
    told = [f"from {each.start:.1f} to {each.end:.1f} s" for each in stretches[:_MOST_STRETCHES]]
    more = len(stretches) - len(told)
    whole = sum(each.seconds for each in stretches)
    return ", ".join(told) + (f" and in {more} more places" if more else "") + f" ({whole:.1f} s in all)"


def about_nothing(file: AudioFile) -> str:
    """Where no text came of it, what may be why."""
    level = f"its loudest sample is at {20 * math.log10(file.peak):.0f} dB" if file.peak else "all of it is silence"
    others = f" --track takes another audio track: {tracks.listed(file.others)}." if file.others else ""
    return f"No speech was found in the {file.seconds:.1f} s of {file.name}; {level}.{others}"


def gaps(file: AudioFile) -> list[ParsedMessage]:
    """What was skipped, as the wire protocol has it."""
    return [
        {"type": "gap", "from": round(each.start, 3), "to": round(each.end, 3), "reason": each.reason}
        for each in file.skipped
    ]
