"""Results whose names may still change, as the session's voices are clustered again. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from wernicke_daemon.utterances.speaker_assignment import named
from wernicke_daemon.utterances.utterance import SpokenLine
from wernicke_daemon.wire.protocol import Final, SegmentSpeaker, SpeakerUpdate

Names = Callable[[Sequence[int | None]], list[str | None]]
"""Of the rows of voices that they are given, as `Voices.names`."""


@dataclass
class _Named:
    """What a result said, and what its names are made of. rows: of voices, one for each of diarization's pieces."""

    lines: tuple[SpokenLine, ...]
    rows: Sequence[int | None]
    update: SpeakerUpdate  # with all segments, as they are told by now
    end_s: float  # of the session's audio


class Revisions:
    """Of one session, by the sequence of its results."""

    def __init__(self) -> None:
        self._named: list[_Named] = []

    def add(self, final: Final, lines: tuple[SpokenLine, ...], rows: Sequence[int | None]) -> None:
        """A result as it is told first. rows: of voices, one for each of diarization's pieces."""
        if any(row is not None for row in rows):
            told = [SegmentSpeaker(index, segment.speaker) for index, segment in enumerate(final.segments)]
            update = SpeakerUpdate(final.session_id, final.buffer_id, final.sequence, final.revision, told)
            self._named.append(_Named(lines, rows, update, final.timestamp_range.end))

    def due(self, names: Names, since_s: float) -> list[SpeakerUpdate]:
        """What has to be told of results that end after that moment of the session's audio; each with the segments
        that have another name now. No name is taken away: what was heard of a voice may be forgotten."""
        return list(self._due(names, since_s))

    def _due(self, names: Names, since_s: float) -> Iterator[SpeakerUpdate]:
        for result in reversed(self._named):
            if result.end_s <= since_s:
                break
            now = [named(line, names(result.rows)) for line in result.lines]
            changed = [
                SegmentSpeaker(told.index, name)
                for told, name in zip(result.update.segments, now, strict=True)
                if name is not None and name != told.speaker
            ]
            if changed:
                yield self._told(result, changed)

    @staticmethod
    def _told(result: _Named, changed: list[SegmentSpeaker]) -> SpeakerUpdate:
        segments = list(result.update.segments)
        for told in changed:
            segments[told.index] = told
        result.update = replace(result.update, revision=result.update.revision + 1, segments=segments)
        return replace(result.update, segments=changed)
