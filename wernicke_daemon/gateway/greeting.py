"""What a client is told when its session begins."""

from wernicke_daemon.sessions.session import Session
from wernicke_daemon.status import Status
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.redaction import public


class Greeter:
    """Tells a client of its session and of what is lacking, each once, whether it asked in the address or in its start
    message."""

    def __init__(
        self,
        session: Session,
        status: Status,
        resumed: bool,
    ) -> None:
        """resumed: the client came back to its session."""
        self._told: set[str] = set()
        self._session = session
        self._status = status
        self._resumed = resumed

    def greet(self) -> None:
        """Tell what the session's options ask for and was not told yet."""
        for event, tell in (("session", self._tell_session), ("status", self._tell_lacking)):
            if event in self._session.options.events and event not in self._told:
                self._told.add(event)
                tell()

    def _tell_lacking(self) -> None:
        for each in self._status.lacking():
            self._session.send(each)

    def _tell_session(self) -> None:
        engines, degraded = self._status.engines()
        audio = self._session.options.audio
        self._session.send(
            protocol.ConnectionEstablished(
                message="Send audio; results come as JSON.",
                session_id=self._session.id,
                resume_token=self._session.resume_token,
                resumed=self._resumed,
                continues=self._session.continues,
                protocol=protocol.PROTOCOL_VERSION,
                audio=protocol.AudioOptions(audio.sample_rate, audio.channels, audio.encoding),
                engines=public(engines),
                degraded=degraded,
            )
        )
