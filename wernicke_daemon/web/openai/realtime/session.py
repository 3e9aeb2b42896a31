"""What a realtime client of OpenAI has its session be, in the words of our own protocol. Pure.

Names and values: https://platform.openai.com/docs/api-reference/realtime-client-events/session/update. What is not read
here is ignored; docs/compatibility.md lists it all.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from ipc.errors import WernickeError
from wernicke_daemon.web.openai.prompt import terms
from wernicke_daemon.web.openai.request import Refused
from wernicke_daemon.web.relay import Message
from wernicke_daemon.wire.audio import AudioFormat
from wernicke_daemon.wire.protocol import Start

EVENTS = ["session", "partial", "suppressed", "flush"]
"""What is asked for of the front; which of it the client is told is for `items.py` to say."""

COMMITTED_BY_CLIENT = ("gpt-realtime-whisper", "gpt-live-transcribe")
"""Models that have no turn detection at OpenAI, so that their clients do not ask for it to be off."""

INPUT = "session.audio.input"


class Format(msgspec.Struct):
    type: str = "audio/pcm"
    rate: int = 24_000


class Transcription(msgspec.Struct):
    """What is left out stays as it was."""

    model: str | UnsetType = UNSET
    language: str | UnsetType | None = UNSET
    languages: list[str] | UnsetType | None = UNSET
    prompt: str | UnsetType | None = UNSET
    keywords: list[str] | UnsetType | None = UNSET


class TurnDetection(msgspec.Struct):
    type: Literal["server_vad", "semantic_vad"] = "server_vad"


class Input(msgspec.Struct):
    format: Format | UnsetType = UNSET
    transcription: Transcription | UnsetType = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET


class Audio(msgspec.Struct):
    input: Input | UnsetType = UNSET


class Said(msgspec.Struct):
    """The `session` of an update; in the beta what is said of the input stands at its top."""

    type: str = "transcription"
    audio: Audio | UnsetType = UNSET
    input_audio_format: str | UnsetType = UNSET
    input_audio_transcription: Transcription | UnsetType = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET

    @property
    def input(self) -> Input:
        if isinstance(self.audio, Audio) and isinstance(self.audio.input, Input):
            return self.audio.input
        beta = self.input_audio_format
        of_beta = UNSET if beta is UNSET else Format("audio/pcm" if beta == "pcm16" else beta)
        return Input(of_beta, self.input_audio_transcription, self.turn_detection)


@dataclass(frozen=True)
class Session:
    """As it is in force."""

    model: str = ""  # that the client names
    rate: int = 24_000  # Hz, of 16-bit mono PCM
    language: str | None = None  # ISO 639-1 code or "auto"; None for the daemon's own
    keywords: tuple[str, ...] = ()
    prompt: str = ""
    turns: Literal["server_vad", "semantic_vad"] | UnsetType | None = UNSET  # UNSET: as the model has it

    @property
    def turn_detection(self) -> str | None:
        """None where the client says what is one item."""
        if self.turns is UNSET:
            return None if self.model.startswith(COMMITTED_BY_CLIENT) else "server_vad"
        return self.turns

    @property
    def bytes_per_second(self) -> int:
        return 2 * self.rate

    @property
    def diarizes(self) -> bool:
        """Whether it is told who speaks."""
        return "diarize" in self.model

    @property
    def start(self) -> Message:
        """The `start` of our own protocol."""
        audio = {"sample_rate": self.rate, "channels": 1, "encoding": "s16le"}
        language = {} if self.language is None else {"language": self.language}
        glossary = [*self.keywords, *terms(self.prompt)]
        return {"type": "start", **audio, **language, "glossary": glossary, "events": EVENTS, "words": False}


def updated(session: Session, said: Any, *, fixed: bool) -> Session:
    """said: the `session` of an update. fixed: audio has come, so that language and format can't be changed any more,
    and keywords and prompt stay what they were. Raises Refused."""
    try:
        changes = msgspec.convert(said, Said)
    except msgspec.ValidationError as error:
        raise _refused(str(error), "session") from None
    if changes.type != "transcription":
        raise Refused("session.type must be transcription: this daemon answers nothing.", "session.type")
    wanted = _with(session, changes.input)
    if fixed and (wanted.rate, wanted.language) != (session.rate, session.language):
        sentence = "Format and language can't be changed once audio has come; open a new connection."
        raise Refused(sentence, INPUT)
    _check(wanted)
    return replace(wanted, keywords=session.keywords, prompt=session.prompt) if fixed else wanted


def _with(session: Session, said: Input) -> Session:
    if isinstance(said.format, Format):
        session = replace(session, rate=_rate(said.format))
    if isinstance(said.transcription, Transcription):
        session = _with_transcription(session, said.transcription)
    if said.turn_detection is not UNSET:
        session = replace(session, turns=None if said.turn_detection is None else said.turn_detection.type)
    return session


def _rate(said: Format) -> int:
    if said.type != "audio/pcm":
        sentence = f"The format must be audio/pcm (16 bits, little-endian, mono), not {said.type}: decode it before."
        raise Refused(sentence, f"{INPUT}.format")
    return said.rate


def _with_transcription(session: Session, said: Transcription) -> Session:
    if said.model is not UNSET:
        session = replace(session, model=said.model)
    if said.languages is not UNSET:
        session = replace(session, language=_one_of(said.languages or []))
    if said.language is not UNSET:
        session = replace(session, language=_one_of([said.language] if said.language else []))
    if said.keywords is not UNSET:
        session = replace(session, keywords=tuple(each for each in said.keywords or () if each))
    if said.prompt is not UNSET:
        session = replace(session, prompt=said.prompt or "")
    return session


def _one_of(languages: list[str]) -> str | None:
    """Without their regions; which of several is spoken is found out."""
    found = {each.lower().replace("_", "-").partition("-")[0] for each in languages}
    return "auto" if len(found) > 1 else next(iter(found), None)


def _check(session: Session) -> None:
    """What the front would say. Raises Refused."""
    try:
        AudioFormat(session.rate, 1, "s16le")
    except WernickeError as error:
        raise Refused(f"{str(error).replace('sample_rate', 'rate')}.", f"{INPUT}.format.rate") from None
    try:
        msgspec.convert(session.start, Start)
    except msgspec.ValidationError as error:
        raise _refused(str(error), f"{INPUT}.transcription") from None


def _refused(error: str, place: str) -> Refused:
    """error: msgspec's, which ends in where it is. place: of the root."""
    what, _, where = error.partition(" - at ")
    param = place + where.strip("`").removeprefix("$").replace("glossary", "keywords")
    return Refused(f"{param} can't be that: {what[0].lower()}{what[1:]}.", param)


# --- as the client is shown it ---------------------------------------------------------------------


def shown(session: Session, session_id: str, silence_ms: int) -> Message:
    """silence_ms: after which an utterance ends, as configured."""
    return {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": session_id,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": session.rate},
                "transcription": _transcription(session),
                "turn_detection": _turn_detection(session, silence_ms),
                "noise_reduction": None,
            }
        },
        "include": None,
    }


def shown_in_beta(session: Session, session_id: str, silence_ms: int) -> Message:
    return {
        "object": "realtime.transcription_session",
        "id": session_id,
        "input_audio_format": "pcm16",
        "input_audio_transcription": _transcription(session),
        "turn_detection": _turn_detection(session, silence_ms),
        "input_audio_noise_reduction": None,
        "include": None,
    }


def _transcription(session: Session) -> Message:
    return {
        "model": session.model,
        "language": session.language,
        "prompt": session.prompt or None,
        "keywords": session.keywords or None,
    }


def _turn_detection(session: Session, silence_ms: int) -> Message | None:
    kind = session.turn_detection
    return {"type": kind, "silence_duration_ms": silence_ms} if kind else None
