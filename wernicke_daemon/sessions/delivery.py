"""What a session's client is sent while there is one, of what it asked for; and sent again when it comes back.

Times are passed in.
"""

from collections.abc import Callable

from wernicke_daemon.sessions.history import History
from wernicke_daemon.utterances.results import Outcome
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import AudioReceived, ServerMessage, SpeakerUpdate

ACK_EVERY_S = 1.0

Send = Callable[[ServerMessage], None]


class Delivery:
    """What a session's client is sent."""

    def __init__(self, events: frozenset[str]) -> None:
        self.events = events  # kinds of messages that the client asked for
        self.history = History()  # what became of its utterances so far
        self._send: Send | None = None  # to the connection that is attached, None without one
        self._acks = True  # False until a client that came back has been told where its audio goes on
        self._acked = AudioReceived(0, 0)  # as last acknowledged
        self._acked_at = 0.0  # when that was; seconds, monotonic

    @property
    def attached(self) -> bool:
        return self._send is not None

    def attach(self, send: Send, resumed: bool) -> None:
        """resumed: the client has come back, and is told by `go_on` where its audio goes on before it gets an `ack`."""
        self._send = send
        self._acks = not resumed

    def detach(self) -> None:
        self._send = None

    def send(self, message: ServerMessage) -> None:
        """Whatever it asked for."""
        if self._send is not None:
            self._send(message)

    def tell(self, event: str, message: ServerMessage) -> None:
        """Only where it asked for that kind."""
        if event in self.events:
            self.send(message)

    def outcome(self, message: Outcome | protocol.Gap) -> None:
        """What became of an utterance, or audio that was lost. It is kept for a client that comes back."""
        self.history.add(message)
        self._tell_outcome(message)

    def revised(self, update: SpeakerUpdate) -> None:
        """Who said what of an earlier result, as it is known by now."""
        self.history.revise(update)
        self.tell("speaker", update)

    def replay(self, after: int) -> None:
        """Send again what came after the last result that a client had, 0 for none, in order; before it, of those it
        had, the names that were revised."""
        for update in self.history.revisions(after):
            self.tell("speaker", update)
        for message in self.history.after(after):
            self._tell_outcome(message)

    def _tell_outcome(self, message: Outcome | protocol.Gap) -> None:
        """Every client is told of a gap in some way."""
        if isinstance(message, protocol.Suppressed):
            self.tell("suppressed", message)
        elif isinstance(message, protocol.Gap):
            self.send(message if "status" in self.events else _gap_as_error(message))
        else:
            self.send(message)

    def go_on(self, received: AudioReceived) -> None:
        """To a client that came back: its audio goes on there."""
        self._acks = True
        self.send(received)

    def acknowledge(self, received: AudioReceived, now: float, last: bool) -> None:
        """Where there is something new to acknowledge and it is time. last: no more will come, so it is not waited."""
        if self._acks and received != self._acked and (last or now - self._acked_at >= ACK_EVERY_S):
            self._acked, self._acked_at = received, now
            self.tell("ack", received)


def _gap_as_error(gap: protocol.Gap) -> protocol.Error:
    text = f"The audio from {gap.start:.1f} s to {gap.end:.1f} s could not be examined and is lost to a fault."
    return protocol.error(gap.reason, text, details={"from": gap.start, "to": gap.end})
