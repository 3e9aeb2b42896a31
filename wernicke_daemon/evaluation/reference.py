"""What is true of a recording, from the files beside it: txt, json, RTTM, STM, SRT."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ipc.errors import WernickeError
from wernicke_daemon.formats.subtitles import cues


class BadReference(WernickeError):
    """What is said in a recording can't be read. The message names the file."""

    code = "INPUT_UNREADABLE"


class Turn(NamedTuple):
    """What one speaker says in one go. Of what a format does not say, speaker is None, and start and end are too."""

    speaker: str | None
    text: str
    start: float | None = None
    end: float | None = None
    pauses: tuple[tuple[float, float], ...] = ()  # its stretches of speech, where there are pauses; else start to end

    @property
    def speech(self) -> tuple[tuple[float, float], ...]:
        if self.start is None or self.end is None:
            return ()
        return self.pauses or ((self.start, self.end),)


class Stretch(NamedTuple):
    """Somebody speaks from start to end, in seconds."""

    start: float
    end: float
    speaker: str


class Reference(NamedTuple):
    """turns: in order of time, as far as it is known; None where nothing says what is said. speech: who speaks when,
    None where nothing says that; empty where nobody does."""

    turns: tuple[Turn, ...] | None
    speech: tuple[Stretch, ...] | None


ENDINGS = (".json", ".stm", ".srt", ".txt", ".rttm")
"""Of the files that are read, those with more about the text first."""


def read(files: Iterable[Path]) -> Reference:
    """What all of them say together: the text of the best that has one, the times of an RTTM or else of the text's.
    Raises BadReference."""
    by_ending = {path.suffix.lower(): path for path in files}
    with_text = next((by_ending[ending] for ending in ENDINGS[:-1] if ending in by_ending), None)
    turns = None if with_text is None else _turns(with_text)
    if ".rttm" in by_ending:
        return Reference(turns, _read_as(by_ending[".rttm"], _rttm))
    return Reference(turns, None if turns is None else _speech(turns))


def _speech(turns: Sequence[Turn]) -> tuple[Stretch, ...] | None:
    if any(turn.speaker is None or turn.end is None for turn in turns):
        return None
    return tuple(Stretch(start, end, str(turn.speaker)) for turn in turns for start, end in turn.speech)


def _turns(path: Path) -> tuple[Turn, ...]:
    turns: tuple[Turn, ...] = _read_as(path, READERS[path.suffix.lower()])
    return (
        turns if any(turn.start is None for turn in turns) else tuple(sorted(turns, key=lambda turn: turn.start or 0))
    )


def _read_as(path: Path, reader: Any) -> Any:
    try:
        return tuple(reader(path.read_text(encoding="utf-8-sig")))
    except UnicodeDecodeError:
        raise BadReference(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise BadReference(f"{path}: can't be read ({error.strerror})") from None
    except (ValueError, LookupError, TypeError, AttributeError, msgspec.MsgspecError) as error:
        raise BadReference(f"{path}: not what its ending says ({type(error).__name__}: {error})") from None


# --- formats ---------------------------------------------------------------------------------------

_STAMPED = re.compile(r"^\[[\d:.,]+\]\s*(?:(?P<speaker>[^\s:：][^:：]{0,39})[:：]\s)?(?P<text>.*)$")
"""A line as `wernicke transcribe` writes it: "[mm:ss] Speaker_00: text"."""
_NAMED = re.compile(r"^(?P<speaker>[^\s:：][^:：]{0,39})[:：]\s*(?P<text>.*)$", re.DOTALL)
_ARROW = re.compile(r"^(?P<start>[\d:.,]+)\s*-->\s*(?P<end>[\d:.,]+)")
_NOT_SCORED = "ignore_time_segment_in_scoring"


def _txt(text: str) -> Iterator[Turn]:
    """Text alone, or the lines of a transcript."""
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _STAMPED.match(line)
        yield Turn(found["speaker"], found["text"]) if found else Turn(None, line)


def _srt(text: str) -> Iterator[Turn]:
    """SubRip; "Name: text" names a speaker where every subtitle has a name."""
    found = list(_subtitles(text))
    named = [_NAMED.match(said) for _, _, said in found]
    for (start, end, said), name in zip(found, named, strict=True):
        yield Turn(name["speaker"], name["text"], start, end) if name and all(named) else Turn(None, said, start, end)


def _subtitles(text: str) -> Iterator[tuple[float, float, str]]:
    for block in re.split(r"\n\s*\n", text.replace("\r", "")):
        lines = block.strip().splitlines()
        for number, line in enumerate(lines):
            if times := _ARROW.match(line.strip()):
                yield _seconds(times["start"]), _seconds(times["end"]), " ".join(lines[number + 1 :])
                break


def _seconds(stamp: str) -> float:
    total = 0.0
    for part in stamp.replace(",", ".").split(":"):
        total = total * 60 + float(part)
    return total


def _stm(text: str) -> Iterator[Turn]:
    """NIST's: file, channel, speaker, start, end, perhaps <labels>, text."""
    for line in text.splitlines():
        if not line.strip() or line.startswith(";;"):
            continue
        _, _, speaker, start, end, *rest = line.split(maxsplit=5)
        said = re.sub(r"^<[^>]*>\s*", "", rest[0] if rest else "")
        if said.lower() != _NOT_SCORED and speaker != "inter_segment_gap":
            yield Turn(speaker, said, float(start), float(end))


def _rttm(text: str) -> Iterator[Stretch]:
    """NIST's; only the lines that say who speaks."""
    for line in text.splitlines():
        fields = line.split()
        if fields and fields[0] == "SPEAKER":
            start = float(fields[3])
            yield Stretch(start, start + float(fields[4]), fields[7])


def _json(text: str) -> Iterator[Turn]:
    """{"turns": [{"speaker", "start", "end", "text"}, …]}, or what `wernicke transcribe -o x.json` writes. Entries
    without text are no speech. A turn may have "speech": [[start, end], …], its stretches without the pauses."""
    content = msgspec.json.decode(text)
    entries = content["turns"] if isinstance(content, dict) else content
    finals = [entry for entry in entries if entry.get("type") == "final"]
    for cue in cues(finals):
        yield Turn(cue.speaker, cue.text, cue.start, cue.end)
    for entry in entries:
        if "text" in entry and "type" not in entry:
            pauses = tuple((float(a), float(b)) for a, b in entry.get("speech", ()))
            yield Turn(entry.get("speaker"), str(entry["text"]), entry.get("start"), entry.get("end"), pauses)


READERS = {".json": _json, ".stm": _stm, ".srt": _srt, ".txt": _txt}
