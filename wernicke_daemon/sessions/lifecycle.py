"""Which part of its life a session is in, and what ended it. Pure.

OPEN ──asked to end──▶ ENDING ──all its audio is in──▶ ENDED ──every result is kept──▶ OVER
  └───────────────────────┴──────────the daemon can't wait──┴──▶ ABANDONED
"""

from enum import Enum, auto

from ipc.messages import Trigger


class SessionState(Enum):
    """Nothing leads back to an earlier one."""

    OPEN = auto()
    """Audio is taken in. A client is attached, or may come back."""
    ENDING = auto()
    """It was asked to end; the last of its audio waits for room in the ring."""
    ENDED = auto()
    """All of its audio is in, and no more is taken. Utterances are still under way."""
    OVER = auto()
    """Every result was kept; its place is free."""
    ABANDONED = auto()
    """Over although results are missing: the journal keeps their audio, and the next start finishes it."""


class Lifecycle:
    """state. ended_by: the trigger that it ends or ended by, None while it is OPEN."""

    def __init__(self) -> None:
        self.state = SessionState.OPEN
        self.ended_by: Trigger | None = None

    @property
    def takes_audio(self) -> bool:
        """ENDING included: what came before its end may still wait for room."""
        return self.state in (SessionState.OPEN, SessionState.ENDING)

    @property
    def ended(self) -> Trigger | None:
        """The trigger that it ended by; None while audio is taken in."""
        return None if self.takes_audio else self.ended_by

    @property
    def is_over(self) -> bool:
        return self.state in (SessionState.OVER, SessionState.ABANDONED)

    def ask_to_end(self, trigger: Trigger) -> None:
        """Of several that ask, the first counts."""
        if self.state is SessionState.OPEN:
            self.state, self.ended_by = SessionState.ENDING, trigger

    def all_audio_is_in(self) -> None:
        if self.state is SessionState.ENDING:
            self.state = SessionState.ENDED

    def every_result_is_kept(self) -> None:
        if self.state is SessionState.ENDED:
            self.state = SessionState.OVER

    def abandon(self) -> None:
        """One that is over stays as it is. Where its own end was not reached, it ended as by a lost line."""
        if self.is_over:
            return
        if self.state is not SessionState.ENDED:
            self.ended_by = "disconnect"
        self.state = SessionState.ABANDONED
