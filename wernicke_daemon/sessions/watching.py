"""What those see who watch all sessions: each session's texts as they grow and as they become final. No I/O.

Where nobody watches, nothing is made for them but the newest text of what is being said, which a watcher who comes is
shown at once.
"""

from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from wernicke_daemon.utterances.results import Outcome
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import Final, Gap, Partial, SegmentOut, ServerMessage, SpeakerUpdate, Warned

Told = Outcome | Gap | SpeakerUpdate | Partial | Warned | protocol.Degraded | protocol.Restored
Send = Callable[[str], None]


class Watchers:
    """All of them. Used on the event loop's thread."""

    def __init__(self) -> None:
        self._sends: set[Send] = set()

    @property
    def present(self) -> bool:
        return bool(self._sends)

    def add(self, send: Send) -> None:
        """send: given each message as JSON; must not raise or block."""
        self._sends.add(send)

    def remove(self, send: Send) -> None:
        self._sends.discard(send)

    def tell(self, session_id: str | None, message: Told) -> None:
        """session_id: None for what concerns all of them."""
        if self._sends:
            self.say(protocol.Watched(session_id, _raw(message)))

    def say(self, message: ServerMessage) -> None:
        if self._sends:
            text = protocol.encode(message)  # once for all
            for send in list(self._sends):
                send(text)


class Watched:
    """One session as they see it."""

    def __init__(self, session_id: str, watchers: Watchers, begun: float) -> None:
        """begun: seconds since 1970."""
        self.id = session_id
        self.begun = begun
        self._watchers = watchers
        self._open: dict[int, Partial] = {}  # newest text of what is not final, by sequence
        self._attached = False  # its client is connected
        self._over = False  # nothing more comes

    @property
    def wanted(self) -> bool:
        """Somebody watches."""
        return self._watchers.present

    def grown(self, partial: Partial) -> None:
        self._open[partial.sequence] = partial
        if partial.stage == "withdrawn":
            del self._open[partial.sequence]
        self._watchers.tell(self.id, partial)

    def tell(self, message: Outcome | Gap | SpeakerUpdate | Warned) -> None:
        """What became of an utterance ends its text in the making."""
        if isinstance(message, Outcome):
            self._open.pop(message.sequence or 0, None)
        self._watchers.tell(self.id, message)

    def attached(self, attached: bool) -> None:
        """Its client has come or gone."""
        self._attached = attached
        self._watchers.say(protocol.SessionChanged(self.id, attached, self._over))

    def over(self) -> None:
        self._over = True
        self._watchers.say(protocol.SessionChanged(self.id, self._attached, over=True))

    def shown(self, language: str, results: Iterable[Outcome | Gap]) -> protocol.SessionShown:
        """All that there is of it. results: in order."""
        return protocol.SessionShown(
            session_id=self.id,
            begun=protocol.utc_text(self.begun),
            language=language,
            attached=self._attached,
            over=self._over,
            results=[_raw(each) for each in results],
            open=[_raw(each) for each in self._open.values()],
        )


def without_words(message: Told) -> Told:
    """Nobody who reads along needs the times of single words, and they are most of a result."""
    if isinstance(message, Final | Partial) and any(_words(segment) for segment in message.segments):
        return replace(message, segments=[replace(each, words=msgspec.UNSET) for each in message.segments])
    return message


def _words(segment: SegmentOut) -> bool:
    return segment.words is not msgspec.UNSET


def _raw(message: Told) -> msgspec.Raw:
    return msgspec.Raw(protocol.encode(without_words(message)).encode())
