"""What an OpenAI client asks for with its file. Pure.

Names and values: https://platform.openai.com/docs/api-reference/audio/createTranscription. What is not read here is
ignored; docs/compatibility.md lists it all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ipc.errors import WernickeError
from wernicke_daemon.web.openai.prompt import terms

ResponseFormat = Literal["json", "text", "srt", "vtt", "verbose_json", "diarized_json"]

EVENTS = ["speaker", "ack"]
"""What is asked for of the front besides results. Without `session` nobody is waited for whose line breaks."""


class Refused(WernickeError):
    """A field that can't be had. param: its name."""

    code = "INVALID_OPTION"

    def __init__(self, sentence: str, param: str) -> None:
        super().__init__(sentence)
        self.param = param


@dataclass(frozen=True)
class Asked:
    """What a client wants to have made of its file."""

    format: ResponseFormat  # of the answer
    language: str  # ISO 639-1 code; empty for the daemon's own
    glossary: list[str]  # terms that will be heard
    words: bool  # with their times, in verbose_json
    streams: bool  # text as it comes, as server-sent events

    @property
    def start(self) -> dict[str, Any]:
        """The `start` of our own protocol, for audio as `decode.py` makes it."""
        audio = {"sample_rate": 16_000, "channels": 1, "encoding": "s16le"}
        language = {"language": self.language} if self.language else {}
        return {"type": "start", **audio, **language, "glossary": self.glossary, "events": EVENTS}


def asked(fields: Iterable[tuple[str, Any]]) -> Asked:
    """fields: of the form, in which a name may come several times; the file is not looked at. Raises Refused."""
    pairs = [(name.removesuffix("[]"), str(value)) for name, value in fields]
    said = dict(pairs)
    streams = _flag(said, "stream")
    wanted = said.get("response_format", "json")
    for known in get_args(ResponseFormat):
        if wanted == known:
            break
    else:
        names = ", ".join(get_args(ResponseFormat))
        raise Refused(f"response_format must be one of {names}, not {wanted!r}.", "response_format")
    if streams and known not in ("json", "text", "diarized_json"):
        raise Refused(f"stream goes with json, text or diarized_json, not with {known}.", "stream")
    return Asked(
        format=known,
        language=said.get("language", "").lower().partition("-")[0],
        glossary=[*(value for name, value in pairs if name == "keywords" and value), *terms(said.get("prompt", ""))],
        words=("timestamp_granularities", "word") in pairs,
        streams=streams,
    )


def _flag(said: dict[str, str], name: str) -> bool:
    value = said.get(name, "false").lower()
    if value not in ("true", "false"):
        raise Refused(f"{name} must be true or false, not {said[name]!r}.", name)
    return value == "true"
