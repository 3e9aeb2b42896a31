"""Finals as documents to read and edit: Markdown and Word. What one speaker says in a row is one paragraph. Pure."""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from wernicke_daemon.formats.subtitles import Cue, ParsedFinal, ParsedLoss, clock, cues

if TYPE_CHECKING:
    from docx.document import Document

PARAGRAPH_S = 120.0
"""Seconds after which one speaker's next sentence begins a paragraph, so that its time is never far."""

_MEANS_SOMETHING = re.compile(r"([\\`*_{}\[\]()#<>|~&!$])")
"""In Markdown (CommonMark and GitHub's), within a line."""


@dataclass(frozen=True)
class _Paragraph:
    start: float
    speaker: str | None
    text: str


def to_md(finals: Sequence[ParsedFinal], losses: Sequence[ParsedLoss] = ()) -> str:
    """Markdown, in which the text means nothing but itself. The format has no place for losses."""
    lines = [f"# {_escaped(title(finals))}", *map(_markdown, _paragraphs(cues(finals)))]
    return "\n\n".join(lines) + "\n"


def to_docx(finals: Sequence[ParsedFinal], losses: Sequence[ParsedLoss] = ()) -> bytes:
    """Word (Office Open XML). The format has no place for losses."""
    from docx import Document

    document = Document()
    _describe(document, title(finals))
    document.add_heading(title(finals), level=1)
    for paragraph in _paragraphs(cues(finals)):
        _add(document, paragraph)
    written = io.BytesIO()
    document.save(written)
    return written.getvalue()


def title(finals: Sequence[ParsedFinal]) -> str:
    """With the local time at which they begin to be counted, where they tell."""
    when = begun(finals)
    return f"Transcript {when.astimezone():%Y-%m-%d %H:%M}" if when else "Transcript"


def begun(finals: Sequence[ParsedFinal]) -> datetime | None:
    """When their time was 0; None where that is not told."""
    if not finals:
        return None
    try:
        wall_start = datetime.fromisoformat(str(finals[0].get("wall_start")))
    except ValueError:
        return None
    return wall_start - timedelta(seconds=finals[0]["timestamp_range"]["start"])


def _paragraphs(spoken: Iterable[Cue]) -> list[_Paragraph]:
    paragraphs: list[_Paragraph] = []
    for cue in spoken:
        last = paragraphs[-1] if paragraphs else None
        if last is not None and last.speaker == cue.speaker and cue.start - last.start < PARAGRAPH_S:
            paragraphs[-1] = _Paragraph(last.start, last.speaker, _joined(last.text, cue.text))
        else:
            paragraphs.append(_Paragraph(cue.start, cue.speaker, cue.text))
    return paragraphs


def ends_without_blank(text: str) -> bool:
    """Whether it ends in a script that has no blanks between sentences."""
    return ord(text[-1]) >= 0x2E80


def _joined(text: str, more: str) -> str:
    return f"{text}{more}" if ends_without_blank(text) else f"{text} {more}"


def _markdown(paragraph: _Paragraph) -> str:
    speaker = f"**{_escaped(paragraph.speaker)}** " if paragraph.speaker else ""
    return f"{speaker}({clock(paragraph.start)}) {_escaped(paragraph.text)}"


def _escaped(text: str) -> str:
    return _MEANS_SOMETHING.sub(r"\\\1", text)


def _describe(document: "Document", name: str) -> None:
    about = document.core_properties
    about.title, about.author, about.comments = name, "", ""


def _add(document: "Document", paragraph: _Paragraph) -> None:
    from docx.shared import RGBColor

    added = document.add_paragraph()
    if paragraph.speaker:
        added.add_run(f"{paragraph.speaker} ").bold = True
    added.add_run(f"[{clock(paragraph.start)}] ").font.color.rgb = RGBColor(0x76, 0x76, 0x76)
    added.add_run(paragraph.text)
