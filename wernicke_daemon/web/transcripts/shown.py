"""Transcripts as pages show them: by day, by who speaks, with what was searched marked. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from wernicke_daemon.formats.documents import ends_without_blank
from wernicke_daemon.records.folding import marks
from wernicke_daemon.records.reading import Turn
from wernicke_daemon.records.search import Hit
from wernicke_daemon.records.session_list import SessionSummary
from wernicke_daemon.web.pages import Language

VOICES = 10
"""Colours that style.css has for voices."""

BLOCK_S = 60.0
"""Seconds after which the same speaker's next sentence begins a block, so that a time is never far."""

_DAYS = {"en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), "ja": ("月", "火", "水", "木", "金", "土", "日")}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Piece = tuple[str, bool]
"""Of a text, and whether it is marked."""


@dataclass(frozen=True)
class Sentence:
    """original: as it was recognised, where that was changed. blank: what parts it from the next one."""

    anchor: str
    pieces: list[Piece]
    original: str | None
    blank: str


@dataclass(frozen=True)
class Block:
    """What one speaker says in a row. start: seconds. voice: number of a colour; None without a speaker."""

    start: float
    speaker: str | None
    voice: int | None
    sentences: list[Sentence]


def by_day(sessions: Iterable[SessionSummary]) -> list[tuple[date, list[SessionSummary]]]:
    """By the daemon's own days, in the order in which they come."""
    days = groupby(sessions, lambda each: datetime.fromtimestamp(each.begun).date())
    return [(day, list(of_day)) for day, of_day in days]


def moment(when: datetime, language: Language) -> str:
    blank = " " if language == "ja" else ", "
    return f"{day(when.date(), language)}{blank}{when:%H:%M}"


def day(when: date, language: Language) -> str:
    weekday = _DAYS[language][when.weekday()]
    if language == "ja":
        return f"{when.year}年{when.month}月{when.day}日（{weekday}）"
    return f"{weekday}, {when.day} {_MONTHS[when.month - 1]} {when.year}"


def time_of_day(begun: float) -> str:
    return f"{datetime.fromtimestamp(begun):%H:%M}"


def length(seconds: float, language: Language) -> str:
    """In the largest two units that say something."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    units = ("時間", "分", "秒") if language == "ja" else (" h", " min", " s")
    blank = "" if language == "ja" else " "
    if hours:
        return f"{hours}{units[0]}{blank}{minutes}{units[1]}"
    return f"{minutes}{units[1]}" if minutes else f"{whole}{units[2]}"


def voices(speakers: Iterable[str | None]) -> dict[str, int]:
    """A colour for each, in the order in which they speak."""
    names = dict.fromkeys(speaker for speaker in speakers if speaker)
    return {name: number % VOICES for number, name in enumerate(names)}


def blocks(turns: Sequence[Turn], terms: Sequence[str]) -> list[Block]:
    """terms: folded, to be marked."""
    colours = voices(turn.speaker for turn in turns)
    made: list[Block] = []
    for turn in turns:
        last = made[-1] if made else None
        marked = pieces(turn.text, marks(turn.text, terms))
        blank = "" if ends_without_blank(turn.text) else " "
        sentence = Sentence(f"{turn.session}-{turn.sequence}", marked, turn.original, blank)
        if last is not None and last.speaker == turn.speaker and turn.start - last.start < BLOCK_S:
            last.sentences.append(sentence)
        else:
            made.append(Block(turn.start, turn.speaker, colours.get(turn.speaker or ""), [sentence]))
    return made


def by_session(hits: Iterable[Hit]) -> list[list[Hit]]:
    """Those that follow each other together."""
    return [list(of_one) for _, of_one in groupby(hits, lambda hit: hit.session)]


def pieces(text: str, marked: Iterable[tuple[int, int]]) -> list[Piece]:
    found: list[Piece] = []
    at = 0
    for start, end in marked:
        found += [(text[at:start], False), (text[start:end], True)]
        at = end
    return [piece for piece in (*found, (text[at:], False)) if piece[0]]
