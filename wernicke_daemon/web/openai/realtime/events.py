"""Events of OpenAI's realtime protocol, as far as there are any in transcription. Pure.

Names and fields: https://platform.openai.com/docs/api-reference/realtime-client-events and …/realtime-server-events.
"""

from typing import Any

import msgspec

from wernicke_daemon.web.relay import Message

# --- of the client ---------------------------------------------------------------------------------


class ClientEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    event_id: str | None = None  # of its own, which an error tells again


class Append(ClientEvent, frozen=True, tag="input_audio_buffer.append"):
    audio: bytes  # in JSON as base64


class Commit(ClientEvent, frozen=True, tag="input_audio_buffer.commit"):
    pass


class Clear(ClientEvent, frozen=True, tag="input_audio_buffer.clear"):
    pass


class Update(ClientEvent, frozen=True, tag="session.update"):
    session: Any

    @property
    def answer(self) -> str:
        """The type of the event that says it is done."""
        return "session.updated"


class BetaUpdate(Update, frozen=True, tag="transcription_session.update"):
    @property
    def answer(self) -> str:
        return "transcription_session.updated"


Event = Append | Commit | Clear | Update | BetaUpdate

_event: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)

UNDERSTOOD = (
    "session.update, input_audio_buffer.append, input_audio_buffer.commit and input_audio_buffer.clear are understood"
)


class NotUnderstood(Exception):
    """A frame that is none of these events. The text is a sentence for the client. event_id: the client's, if any."""

    def __init__(self, sentence: str, param: str | None, event_id: str | None) -> None:
        super().__init__(sentence)
        self.param = param
        self.event_id = event_id


class _Head(msgspec.Struct):
    type: str
    event_id: str | None = None


def parse(frame: str | bytes) -> Event:
    """Raises NotUnderstood."""
    if isinstance(frame, bytes):
        raise NotUnderstood("Events are text frames, with audio in them as base64; this one was binary.", None, None)
    try:
        return _event.decode(frame)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise _not_understood(frame, str(error)) from None


def _not_understood(frame: str, error: str) -> NotUnderstood:
    try:
        head = msgspec.json.decode(frame, type=_Head)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return NotUnderstood(f"Not understood: events are JSON with a type; {UNDERSTOOD}.", None, None)
    what, _, where = error.partition(" - at `$.")
    if where == "type`":
        return NotUnderstood(f"{head.type[:100]} is nothing for transcription; {UNDERSTOOD}.", "type", head.event_id)
    return NotUnderstood(f"{head.type} is not understood: {what}.", where.strip("`") or None, head.event_id)


# --- of the server ---------------------------------------------------------------------------------


def error(
    sentence: str,
    *,
    code: str | None = None,
    param: str | None = None,
    event_id: str | None = None,
    ours: bool = False,
) -> Message:
    """The stream goes on after it. event_id: of the client's event that it is about. ours: it is not the client's
    fault."""
    kind = "server_error" if ours else "invalid_request_error"
    return {"type": "error", "error": _about(sentence, kind, code, param) | {"event_id": event_id}}


def _about(sentence: str, kind: str, code: str | None, param: str | None = None) -> Message:
    return {"type": kind, "code": code, "message": sentence, "param": param}


def speech_started(item_id: str, seconds: float) -> Message:
    return {"type": "input_audio_buffer.speech_started", "audio_start_ms": _ms(seconds), "item_id": item_id}


def speech_stopped(item_id: str, seconds: float) -> Message:
    return {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": _ms(seconds), "item_id": item_id}


def committed(item_id: str, previous: str | None) -> Message:
    return {"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": previous}


def item(kind: str, item_id: str, previous: str | None) -> Message:
    """kind: `added`, `done`; `created` in the beta."""
    content = [{"type": "input_audio", "transcript": None}]
    known = {"id": item_id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user"}
    return {"type": f"conversation.item.{kind}", "previous_item_id": previous, "item": known | {"content": content}}


def delta(item_id: str, text: str) -> Message:
    return _transcription("delta", item_id) | {"delta": text}


def segment(item_id: str, found: Message) -> Message:
    """found: one of `answers.diarized_segments`."""
    return found | _transcription("segment", item_id)


def completed(item_id: str, text: str, seconds: int, languages: list[str]) -> Message:
    usage = {"type": "duration", "seconds": seconds}
    codes = [{"code": each} for each in languages]
    return _transcription("completed", item_id) | {"transcript": text, "usage": usage, "languages": codes}


def failed(item_id: str, code: str, sentence: str) -> Message:
    return _transcription("failed", item_id) | {"error": _about(sentence, "server_error", code)}


def _transcription(kind: str, item_id: str) -> Message:
    return {"type": f"conversation.item.input_audio_transcription.{kind}", "item_id": item_id, "content_index": 0}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
