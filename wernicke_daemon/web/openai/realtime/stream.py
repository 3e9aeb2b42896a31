"""`/v1/realtime`: a stream of a realtime client of OpenAI that wants its speech transcribed."""

from collections.abc import Iterable

from fastapi import APIRouter
from starlette.websockets import WebSocket

from wernicke_daemon.web import access, relay
from wernicke_daemon.web.openai.realtime import events
from wernicke_daemon.web.openai.realtime.handshake import Handshake, check
from wernicke_daemon.web.openai.realtime.items import Items
from wernicke_daemon.web.openai.realtime.session import Session, shown, shown_in_beta, updated
from wernicke_daemon.web.openai.request import Refused
from wernicke_daemon.web.relay import Heard, Message

router = APIRouter()
"""WebSockets say by themselves whom they let in."""

PATH = "/v1/realtime"

LEAST_S = 0.1
"""Seconds of audio that can be committed, as at OpenAI."""

EMPTY = "input_audio_buffer_commit_empty"


@router.websocket(PATH)
async def realtime(socket: WebSocket) -> None:
    setup = socket.app.state.setup
    asked = Handshake.of(socket.headers, socket.query_params)
    if not access.knows(asked.key, setup):
        await relay.refuse(socket, 401, access.NEEDED)
        return
    try:
        check(socket.query_params)
        async with relay.session(socket.app.state.front, Session().start) as (line, hello):
            await socket.accept(asked.subprotocol)
            silence_ms = round(setup.config.vad.silence_s * 1000)
            await relay.Stream(socket, line, Realtime(asked, hello, silence_ms)).run()
    except relay.NotTaken as refused:
        await relay.refuse(socket, refused.status, str(refused))
    except Refused as refused:
        await relay.refuse(socket, 400, str(refused), refused.param)


class Realtime(relay.Dialect):
    """Of one stream."""

    def __init__(self, asked: Handshake, hello: Message, silence_ms: int) -> None:
        """hello: the front's `connection_established`. silence_ms: see `shown`."""
        self._asked = asked
        self._id: str = hello["session_id"]
        self._silence_ms = silence_ms
        self._items = Items(f"item_{self._id}", asked.beta)
        self._use(Session(asked.model or relay.recogniser(hello)))
        self._count = 0  # of events
        self._fixed = False  # audio has come
        self._uncommitted = 0  # bytes of audio since the last commit

    def begun(self) -> list[Message]:
        return self._stamped([{"type": self._asked.begun, "session": self._shown(self._asked.beta)}])

    def heard(self, frame: str | bytes) -> Heard:
        try:
            return self._taken(events.parse(frame))
        except events.NotUnderstood as wrong:
            return self._error(str(wrong), param=wrong.param, event_id=wrong.event_id)

    def _taken(self, event: events.Event) -> Heard:
        match event:
            case events.Append(audio=audio):
                return Heard(self._audio(audio))
            case events.Update():
                return self._updated(event)
            case events.Commit():
                return self._commit(event)
            case events.Clear():
                return self._clear()

    def _audio(self, audio: bytes) -> list[str | bytes]:
        if not audio:
            return []
        start = [] if self._fixed else [relay.in_json(self._session.start)]
        self._fixed = True
        self._uncommitted += len(audio)
        return [*start, audio]

    def _updated(self, update: events.Update) -> Heard:
        try:
            self._use(updated(self._session, update.session, fixed=self._fixed))
        except Refused as refused:
            return self._error(str(refused), param=refused.param, event_id=update.event_id)
        in_beta = self._asked.beta or isinstance(update, events.BetaUpdate)
        return Heard(to_client=self._stamped([{"type": update.answer, "session": self._shown(in_beta)}]))

    def _use(self, session: Session) -> None:
        self._session = session
        self._items.by_voice = session.turn_detection is not None
        self._items.speakers = session.diarizes

    def _commit(self, event: events.Commit) -> Heard:
        if not self._is_enough:
            milliseconds = 1000 * self._uncommitted / self._session.bytes_per_second
            sentence = f"There is nothing to commit: at least 100 ms of audio are needed, not {milliseconds:.0f}."
            return self._error(sentence, code=EMPTY, event_id=event.event_id)
        self._uncommitted = 0
        return Heard([relay.FLUSH], self._stamped(self._items.commit()))

    def _clear(self) -> Heard:
        told = self._stamped([{"type": "input_audio_buffer.cleared"}])
        if not self._is_enough:  # for a word
            return Heard(to_client=told)
        self._uncommitted = 0
        self._items.clear()
        return Heard([relay.FLUSH], told)

    @property
    def _is_enough(self) -> bool:
        return self._uncommitted >= LEAST_S * self._session.bytes_per_second

    def told(self, message: Message) -> list[Message]:
        if message["type"] == "error" and message.get("sequence") is None:
            ours = not message["code"].startswith("INVALID_")
            return self._stamped([events.error(message["message"], code=message["code"], ours=ours)])
        return self._stamped(self._items.take(message))

    def ended(self) -> list[Message]:
        return []

    def broken_off(self) -> Message:
        return self._stamped([events.error(relay.BROKEN_OFF, code="INTERNAL_ERROR", ours=True)])[0]

    def _error(
        self, sentence: str, *, code: str | None = None, param: str | None = None, event_id: str | None = None
    ) -> Heard:
        wrong = events.error(sentence, code=code, param=param, event_id=event_id)
        return Heard(to_client=self._stamped([wrong]))

    def _shown(self, in_beta: bool) -> Message:
        return (shown_in_beta if in_beta else shown)(self._session, self._id, self._silence_ms)

    def _stamped(self, told: Iterable[Message]) -> list[Message]:
        stamped = list[Message]()
        for event in told:
            self._count += 1
            stamped.append(event | {"event_id": f"event_{self._id}_{self._count:06}"})
        return stamped
