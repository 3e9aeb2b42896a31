"""What a Deepgram client says while it streams, in the words of our own protocol. Pure."""

from typing import Any

import msgspec

from wernicke_daemon.web.deepgram.results import error
from wernicke_daemon.web.relay import FLUSH, STOP, Message

OURS = {"KeepAlive": '{"type":"keepalive"}', "Finalize": FLUSH, "CloseStream": STOP}


def ours(text: str) -> str | None:
    """What to tell the front; None where it is nothing that a client may say."""
    return OURS.get(_kind(text))


def refusal(text: str, request_id: str) -> Message:
    """The answer to what is none of these."""
    if _kind(text) == "Configure":
        sentence = "Options can't be changed within a stream; give them in the address."
        code = "CONFIGURE_KEYTERMS_NOT_SUPPORTED"
        return {"type": "ConfigureFailure", "request_id": request_id, "code": code, "description": sentence}
    return error("SchemaError", f"Not understood; text frames are JSON with a type of {', '.join(OURS)}.", text[:1000])


def _kind(text: str) -> str:
    try:
        said = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return ""
    return str(said.get("type"))
