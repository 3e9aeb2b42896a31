"""The audio tracks of a file: which one is taken, and how they are told apart."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wernicke_daemon.formats.media import MediaError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer


@dataclass(frozen=True)
class Track:
    """number: from 1, among the audio tracks. about: language, title, whether it is the default; may be empty."""

    number: int
    about: str

    def __str__(self) -> str:
        return f"{self.number} ({self.about})" if self.about else str(self.number)


def tracks(container: "InputContainer") -> list[Track]:
    return [Track(number, _about(stream)) for number, stream in enumerate(container.streams.audio, start=1)]


def choose(container: "InputContainer", wanted: int | None) -> int:
    """The number of the track to take. wanted: one of them; None leaves it to FFmpeg (`av_find_best_stream`), which
    prefers the one that is marked as default. Raises MediaError."""
    streams = container.streams.audio
    if not streams:
        raise MediaError("it holds no audio")
    if wanted is None:
        best = container.streams.best("audio")
        return next((number for number, stream in enumerate(streams, start=1) if stream is best), 1)
    if not 1 <= wanted <= len(streams):
        raise MediaError(f"it has no audio track {wanted}, only {listed(tracks(container))}")
    return wanted


def listed(found: list[Track]) -> str:
    return ", ".join(map(str, found))


def _about(stream: "AudioStream") -> str:
    language = stream.language if stream.language not in (None, "und") else None
    default = "default" if stream.disposition & type(stream.disposition).default else None
    return ", ".join(word for word in (language, stream.metadata.get("title"), default) if word)
