"""Finals as text, subtitles and JSON. Pure: messages in, strings out."""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

ParsedFinal = dict[str, Any]
"""A `final` of the wire protocol."""

ParsedLoss = dict[str, Any]
"""Audio without text: a `gap` of the wire protocol, or an `error` in its place."""


@dataclass(frozen=True)
class Cue:
    """A stretch of text. start, end: seconds from the session's start. speaker: None where it is not known."""

    start: float
    end: float
    speaker: str | None
    text: str

    @property
    def line(self) -> str:
        """As shown on a terminal: "[mm:ss] Speaker_00: text"."""
        return f"[{clock(self.start)}] {self.spoken}"

    @property
    def spoken(self) -> str:
        return f"{self.speaker}: {self.text}" if self.speaker else self.text


def cues(finals: Iterable[ParsedFinal]) -> list[Cue]:
    """The segments that hold text, by start time. Cues of different speakers may overlap."""
    return sorted((cue for final in finals for cue in _cues(final)), key=lambda cue: cue.start)


def _cues(final: ParsedFinal) -> list[Cue]:
    offset = float(final["timestamp_range"]["start"])
    found = [
        # One line each: an empty line would end a subtitle.
        Cue(
            offset + segment["start"],
            offset + segment["end"],
            one_line(segment.get("speaker") or "") or None,
            one_line(segment["text"]),
        )
        for segment in final["segments"]
    ]
    return [cue for cue in found if cue.text]


_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Control characters and what no XML may hold (XML 1.0, 2.2)."""


def one_line(text: str) -> str:
    """With one blank for each stretch of white space, and none at the ends; without control characters."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def to_txt(finals: Sequence[ParsedFinal], losses: Sequence[ParsedLoss] = ()) -> str:
    """One line per segment, as on the terminal. The format has no place for losses."""
    return "".join(f"{cue.line}\n" for cue in cues(finals))


def to_srt(finals: Sequence[ParsedFinal], losses: Sequence[ParsedLoss] = ()) -> str:
    """SubRip, which has no escapes: what a player would take for a line of times, a tag or a command (`-->`, `<b>`,
    `{\\an8}`) is written with characters that look alike. The format has no place for losses."""
    blocks = [
        f"{number}\n{_times(cue, ',')}\n{_plain(cue.spoken)}\n" for number, cue in enumerate(cues(finals), start=1)
    ]
    return "\n".join(blocks)


def _plain(text: str) -> str:
    return re.sub(r"<(?=[/!?a-zA-Z])", "‹", text.replace("-->", "→")).replace("{\\", "{＼")


def to_vtt(finals: Sequence[ParsedFinal], losses: Sequence[ParsedLoss] = ()) -> str:
    """WebVTT (https://www.w3.org/TR/webvtt1/), the speaker in a voice span; `&`, `<` and `>` escaped. Losses are notes,
    which players do not show."""
    notes = [note for note in map(_note, losses) if note]
    blocks = [f"{_times(cue, '.')}\n{_voice(cue)}{html.escape(cue.text, quote=False)}\n" for cue in cues(finals)]
    return "\n".join(["WEBVTT\n", *notes, *blocks])


def _note(loss: ParsedLoss) -> str | None:
    """None for an error that does not say when."""
    times = loss if loss["type"] == "gap" else loss.get("details") or {}
    if "from" not in times:
        return None
    start, end = (_stamp(_milliseconds(times[side]), ".") for side in ("from", "to"))
    return f"NOTE No text from {start} to {end} ({loss.get('reason') or loss.get('code')})\n"


def _voice(cue: Cue) -> str:
    return f"<v {html.escape(cue.speaker, quote=False)}>" if cue.speaker else ""


def to_json(finals: Sequence[ParsedFinal], losses: Sequence[ParsedLoss] = ()) -> str:
    """The finals as the server sent them, and then the losses, in one array."""
    return msgspec.json.format(msgspec.json.encode([*finals, *losses]), indent=2).decode() + "\n"


def _times(cue: Cue, mark: str) -> str:
    start = _milliseconds(cue.start)
    # Both formats want an end after the start.
    end = max(_milliseconds(cue.end), start + 1)
    return f"{_stamp(start, mark)} --> {_stamp(end, mark)}"


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _stamp(milliseconds: int, mark: str) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{fraction:03}"


def clock(seconds: float) -> str:
    """mm:ss, with hours before it from the first hour on."""
    whole = max(0, int(seconds))
    hours = f"{whole // 3600}:" if whole >= 3600 else ""
    return f"{hours}{whole // 60 % 60:02}:{whole % 60:02}"
