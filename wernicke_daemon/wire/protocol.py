"""What is said on the WebSocket, as typed structs and JSON; no I/O. Described in docs/protocol.md."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from ipc.errors import WernickeError
from ipc.messages import About, Trigger
from wernicke_daemon.wire.redaction import public

PROTOCOL_VERSION = 1

EventName = Literal["session", "partial", "ack", "suppressed", "speaker", "status", "flush"]
EVENTS: frozenset[str] = frozenset(get_args(EventName))

MOST_SPEAKERS = 50
"""That a client may name."""

CLOSE_NORMAL = 1000
CLOSE_GOING_AWAY = 1001
CLOSE_POLICY = 1008
CLOSE_INTERNAL = 1011
CLOSE_TRY_AGAIN = 1013


DOWN = "down"
STARTING = "starting"
OVERLOAD = "overload"
SLOW = "slow"

LATE = "TRANSCRIPTION_LATE"


class InvalidMessage(WernickeError):
    """A text frame, query or option that is not understood."""

    code = "INVALID_MESSAGE"


class AudioOptions(msgspec.Struct, frozen=True):
    sample_rate: int
    channels: int
    encoding: str


class Start(msgspec.Struct, frozen=True, tag="start", forbid_unknown_fields=False):
    """Options of a client; what is None was not said. The same names work in the query."""

    sample_rate: int | None = None  # Hz
    channels: int | None = None  # of each frame
    encoding: str | None = None  # of each sample
    language: Annotated[str, Meta(pattern=r"^(auto|[a-z]{2,3})\Z")] | None = None  # ISO 639-1 code or "auto"
    # words to expect
    glossary: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=200)] | None = None
    events: str | list[str] | None = None  # messages wanted besides results
    words: bool | None = None  # whether segments have them
    background: bool | None = None  # whether it gives way to sessions in which somebody speaks
    # how many people speak: "4", or "2-5" for from two to five
    speakers: Annotated[str, Meta(pattern=r"^[0-9]{1,3}(-[0-9]{1,3})?\Z")] | int | None = None
    session: str | None = None  # id of the one to go on with
    resume_token: str | None = None  # that came with it
    last_sequence: int | None = None  # of the results that the client has


class Flush(msgspec.Struct, frozen=True, tag="flush"):
    pass


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    pass


class Keepalive(msgspec.Struct, frozen=True, tag="keepalive"):
    pass


class Name(msgspec.Struct, frozen=True, tag="name"):
    """Who a voice of the session is."""

    speaker: Annotated[str, Meta(max_length=1000)]  # as results have it
    name: Annotated[str, Meta(max_length=1000)]  # see `utterances.titles.checked`


ClientMessage = Start | Flush | Stop | Keepalive | Name

_client: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage, strict=False)
"""As the query is read: 16000.0 and "16000" are 16000, too. JSON has one kind of number; some write it with a point."""


def parse(text: str) -> ClientMessage:
    """Raises InvalidMessage saying what is wrong with it."""
    try:
        return _client.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidMessage(
            f"Not understood: {error}. Text frames are JSON with a type of start, flush, stop, keepalive or name."
        ) from None


def options_from_query(query: dict[str, str]) -> Start:
    """The options in a request's query; unknown names are left to proxies and newer clients. Raises InvalidMessage."""
    known: dict[str, Any] = {name: query[name] for name in Start.__struct_fields__ if name in query}
    if "glossary" in known:
        known["glossary"] = [term for term in known["glossary"].split(",") if term]
    try:
        return msgspec.convert(known, Start, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidMessage(f"The query of the address is not understood: {error}.") from None


def parse_events(asked: str | list[str] | None) -> frozenset[str]:
    """ "session,partial", ["session"], "all". Raises InvalidMessage for names that do not exist."""
    names = asked.split(",") if isinstance(asked, str) else asked or []
    wanted = {name.strip() for name in names if name.strip()}
    if "all" in wanted:
        return EVENTS
    if unknown := wanted - EVENTS:
        known = ", ".join(sorted(EVENTS))
        raise InvalidMessage(f"Unknown event {sorted(unknown)[0]!r}; there are {known}, and all.")
    return frozenset(wanted)


def parse_speakers(said: str | int) -> tuple[int, int]:
    """4, "4", "2-5": at least, at most. Raises InvalidMessage."""
    least, _, most = str(said).partition("-")
    bounds = int(least), int(most or least)
    if not 1 <= bounds[0] <= bounds[1] <= MOST_SPEAKERS:
        raise InvalidMessage(f"speakers is a number from 1 to {MOST_SPEAKERS}, or two of them such as 2-5; not {said}.")
    return bounds


class Rename(msgspec.Struct, frozen=True, tag="name"):
    """Who a voice of a session is, of one that is over, too."""

    session_id: str
    speaker: Annotated[str, Meta(max_length=1000)]  # as results have it
    name: Annotated[str, Meta(max_length=1000)]  # see `utterances.titles.checked`


class Delete(msgspec.Struct, frozen=True, tag="delete"):
    """A session that is over."""

    session_id: str


Edit = Rename | Delete

_edit: msgspec.json.Decoder[Edit] = msgspec.json.Decoder(Edit)


def parse_edit(frame: str | bytes) -> Edit:
    """Raises InvalidMessage."""
    try:
        return _edit.decode(frame)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidMessage(f"Not understood: {error}. A change is JSON with a type of name or delete.") from None


# --- server to client ------------------------------------------------------------------------------


class ServerMessage(msgspec.Struct, frozen=True, tag_field="type"):
    """Base of what the server says."""


class ConnectionEstablished(ServerMessage, frozen=True, tag="connection_established"):
    """The greeting."""

    message: str  # for people
    session_id: str  # to come back with
    resume_token: str  # what lets the client do so
    resumed: bool  # whether the session goes on
    continues: str | None  # id of the session whose client it goes on for
    protocol: int  # version
    audio: AudioOptions  # what is expected from now on
    engines: dict[str, str]  # by stage, and why that one
    degraded: list[str]  # what results lack for now


class AudioReceived(ServerMessage, frozen=True, tag="audio_received"):
    bytes_received: int
    samples_received: int


class TimestampRange(msgspec.Struct, frozen=True):
    start: float
    end: float


class WordOut(msgspec.Struct, frozen=True):
    start: float
    end: float
    word: str
    score: float
    speaker: str | None


class SegmentOut(msgspec.Struct, frozen=True):
    """What one voice said; seconds from the utterance's start."""

    start: float  # of its first word
    end: float  # of its last word
    text: str  # corrected, where it was
    speaker: str | None  # None where it is not known
    corrected: bool  # whether the LLM changed it
    original_text: str | None  # as recognised, where it was corrected
    words: list[WordOut] | msgspec.UnsetType = msgspec.UNSET  # left out where the client wants none


PartialStage = Literal["live", "asr", "aligned", "diarized", "corrected", "withdrawn"]


class Partial(ServerMessage, frozen=True, tag="partial"):
    """Text before its final."""

    session_id: str  # whose it is
    buffer_id: str  # the final's
    sequence: int  # the final's
    revision: int  # counts the states of the text, from 1
    stage: PartialStage  # how far the work on it is
    text: str  # of the utterance so far
    stable_chars: int  # characters at the beginning of `text` that stay until the final
    segments: list[SegmentOut]  # as in Final; empty for live text
    timestamp_range: TimestampRange  # that the newest of the text was heard in; seconds of received audio
    latency_ms: int  # from the end of that audio having been received


class Doubtful(msgspec.Struct, frozen=True):
    """Speech that was recognised twice, with another number or negation."""

    start: float  # seconds from the utterance's start
    end: float
    about: About  # what differs
    text: str  # as it was recognised at first
    other: str  # as it was recognised by itself


class Final(ServerMessage, frozen=True, tag="final"):
    """The result of one utterance."""

    session_id: str  # whose it is
    buffer_id: str  # its name for the client
    sequence: int  # its number in the session, from 1
    revision: int  # 1, plus one for diarization and one for correction
    text: str  # the segments' texts, joined
    segments: list[SegmentOut]  # in time order
    timestamp_range: TimestampRange  # where it lies in the session's audio; seconds
    wall_start: str  # when it began: UTC, ISO 8601
    language: str  # of the recognised text
    duration: float  # seconds of audio
    processing_time: float  # seconds that stages worked on it, added up
    latency_ms: int  # from its end being found to its result being complete, and those before it gone
    trigger: Trigger  # what ended it
    models_used: dict[str, str | None]  # by stage; None where it had no part in it
    warnings: list[str]  # codes for what is missing
    doubtful: list[Doubtful] = []  # where a second look says something else


class SegmentSpeaker(msgspec.Struct, frozen=True):
    index: int  # of the final's segments, from 0
    speaker: str | None  # as in SegmentOut; the segment's words have the same


class SpeakerUpdate(ServerMessage, frozen=True, tag="speaker_update"):
    """Who said segments of an earlier final, as it is known by now."""

    session_id: str  # the final's, as all up to sequence
    buffer_id: str
    sequence: int
    revision: int  # greater than the final's, and than that of any update before
    segments: list[SegmentSpeaker]  # those with another name, in order


class Suppressed(ServerMessage, frozen=True, tag="suppressed"):
    sequence: int
    buffer_id: str
    reason: str


class Flushed(ServerMessage, frozen=True, tag="flushed"):
    """All that came before a `flush` was examined."""

    sequence: int  # of the last utterance that was found in it, 0 for none; its result may still be to come


class Warned(ServerMessage, frozen=True, tag="warning"):
    code: str
    message: str


class Degraded(ServerMessage, frozen=True, tag="degraded"):
    """What results lack for now: a stage that is down, or is loaded ("starting"), or ("slow") gets too little of the
    CPU, or ("overload") is left out because results fall behind; so may "partials" be. since: UTC. waiting: its
    unanswered jobs."""

    stage: str
    reason: str
    since: str
    waiting: int


class Restored(ServerMessage, frozen=True, tag="restored"):
    stage: str
    reason: str


class Gap(ServerMessage, frozen=True, tag="gap"):
    """Received audio that will not come back as text. `from` is a Python keyword, hence the rename."""

    start: float = msgspec.field(name="from")
    end: float = msgspec.field(name="to")
    reason: str


class SessionEnded(ServerMessage, frozen=True, tag="session_ended"):
    session_id: str


class SessionShown(ServerMessage, frozen=True, tag="session_shown"):
    """A session as far as it is known, to those who watch."""

    session_id: str
    begun: str  # UTC, ISO 8601
    language: str  # as its client asked for it, or as configured
    attached: bool  # its client is connected
    over: bool  # nothing more comes
    results: list[msgspec.Raw]  # finals, errors and gaps, in order
    open: list[msgspec.Raw]  # partials of what is not final


class SessionChanged(ServerMessage, frozen=True, tag="session_changed"):
    session_id: str
    attached: bool  # as in SessionShown
    over: bool


class SessionDeleted(ServerMessage, frozen=True, tag="session_deleted"):
    """Nothing of it is kept any more."""

    session_id: str


class Watching(ServerMessage, frozen=True, tag="watching"):
    """Everything that there is has been shown."""

    sessions: list[str]  # their ids


class Watched(ServerMessage, frozen=True, tag="watched"):
    """What those who watch are told besides."""

    session_id: str | None  # None for what concerns all sessions
    message: msgspec.Raw  # any other server message


class Done(ServerMessage, frozen=True, tag="done"):
    """The change was made."""


class Error(ServerMessage, frozen=True, tag="error"):
    """Holds no traceback, path or token."""

    code: str  # as listed in docs/protocol.md
    message: str  # what happened and what to do
    timestamp: str  # UTC, ISO 8601
    error: bool = True  # always true, for the original client
    details: dict[str, Any] | None = None  # what belongs to the code
    buffer_id: str | None = None  # of the utterance that has no result
    sequence: int | None = None  # of the same
    retry_after_s: float | None = None  # when to try again


def error(code: str, message: str, **fields: Any) -> Error:
    """An Error of now; what is private in its message and details is left out."""
    return Error(code, public(message), utc_text(datetime.now(UTC).timestamp()), **public(fields))


def sentence(text: str) -> str:
    """`text` with a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def utc_text(seconds: float) -> str:
    """ISO 8601 in UTC with milliseconds, of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_encoder = msgspec.json.Encoder()


def encode(message: ServerMessage) -> str:
    return _encoder.encode(message).decode()
