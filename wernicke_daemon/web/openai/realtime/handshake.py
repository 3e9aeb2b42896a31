"""What a realtime client of OpenAI asks for before its connection is accepted. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers

from wernicke_daemon.web.keys import in_header, subprotocols
from wernicke_daemon.web.openai.request import Refused

SUBPROTOCOL = "realtime"
KEY_PREFIX = "openai-insecure-api-key."
BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
"""Those that a browser asks for, as it can't set headers."""

INTENT = "transcription"


@dataclass(frozen=True)
class Handshake:
    key: str  # empty where there is none
    subprotocol: str | None  # to be agreed to
    beta: bool  # the client speaks the protocol as it was before it was final
    begun: str  # type of the event that it waits for
    model: str  # that it names

    @classmethod
    def of(cls, headers: Headers, query: Mapping[str, str]) -> "Handshake":
        asked = subprotocols(headers)
        keys = [each.removeprefix(KEY_PREFIX) for each in asked if each.startswith(KEY_PREFIX)]
        beta = "realtime=v1" in headers.get("openai-beta", "") or BETA_SUBPROTOCOL in asked
        named_apart = beta and query.get("intent") == INTENT
        return cls(
            key=in_header(headers, ("bearer",)) or (keys[0] if keys else ""),
            subprotocol=SUBPROTOCOL if SUBPROTOCOL in asked else None,
            beta=beta,
            begun="transcription_session.created" if named_apart else "session.created",
            model=query.get("model", ""),
        )


def check(query: Mapping[str, str]) -> None:
    """Whichever model it names, it is transcribed here. Raises Refused."""
    if query.get("intent", INTENT) != INTENT:
        raise Refused("intent must be transcription: nothing else is done here.", "intent")
    if "call_id" in query:
        raise Refused("There are no calls here; leave call_id out.", "call_id")
