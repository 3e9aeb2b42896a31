"""The formats that a transcript can be had in, by the ending of the file."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from wernicke_daemon.formats import documents, subtitles
from wernicke_daemon.formats.subtitles import ParsedFinal, ParsedLoss


class Format(NamedTuple):
    """media_type: of HTTP. make: from finals and what they lack, in formats that have a place for it."""

    media_type: str
    make: Callable[[Sequence[ParsedFinal], Sequence[ParsedLoss]], str | bytes]

    def bytes_of(self, finals: Sequence[ParsedFinal], losses: Sequence[ParsedLoss] = ()) -> bytes:
        """Text as UTF-8."""
        made = self.make(finals, losses)
        return made.encode() if isinstance(made, str) else made


FORMATS = {
    "txt": Format("text/plain; charset=utf-8", subtitles.to_txt),
    "srt": Format("application/x-subrip; charset=utf-8", subtitles.to_srt),
    "vtt": Format("text/vtt; charset=utf-8", subtitles.to_vtt),
    "md": Format("text/markdown; charset=utf-8", documents.to_md),
    "json": Format("application/json; charset=utf-8", subtitles.to_json),
    "docx": Format("application/vnd.openxmlformats-officedocument.wordprocessingml.document", documents.to_docx),
}
