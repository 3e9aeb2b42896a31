"""What takes the place of the transcript store where none is wanted."""

from collections.abc import Callable

from wernicke_daemon.records.earlier import EarlierSession, Resume
from wernicke_daemon.utterances.voices import Known
from wernicke_daemon.wire.protocol import ServerMessage, SpeakerUpdate


class NoStore:
    """Keeps no trace."""

    problem: str | None = None
    postponed: str | None = None
    healthy = True

    def open(self) -> None:
        pass

    def session_started(
        self, session_id: str, wall_start: float, language: str, peer: str, resume: Resume | None = None
    ) -> None:
        pass

    def remember(self, session_id: str, heard: Known) -> None:
        pass

    def earlier(self, session_id: str) -> EarlierSession | None:
        return None

    def session_ended(self, session_id: str, wall_end: float) -> None:
        pass

    def keep(self, session_id: str, sequence: int, message: ServerMessage, delivered: Callable[[], None]) -> None:
        delivered()

    def revise(self, session_id: str, update: SpeakerUpdate, delivered: Callable[[], None]) -> None:
        delivered()

    async def close(self) -> None:
        pass
