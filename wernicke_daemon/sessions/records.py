"""What a session wants of those who keep it."""

from collections.abc import Collection
from typing import Protocol, TypeVar

from wernicke_daemon.utterances.context import Context
from wernicke_daemon.utterances.late import Late
from wernicke_daemon.utterances.results import Outcome
from wernicke_daemon.utterances.utterance import Utterance
from wernicke_daemon.wire.audio import Audio
from wernicke_daemon.wire.protocol import SpeakerUpdate

S = TypeVar("S", contravariant=True)
"""The session."""


class Records(Protocol[S]):
    """Where a session's audio and results are kept besides memory, and what is written down about it."""

    def audio(self, session: S, start: int, samples: Audio) -> None:
        """Samples from number `start` on were received."""

    def final_before(self, session: S, sample: int, next_sequence: int) -> None:
        """All before `sample` is final; the first utterance that is not has that sequence."""

    def postpone(self, session: S, late: Late, context: Context) -> bool:
        """An utterance was given up while the recogniser was down. Whether it will be done later: its audio is kept.
        context: the session's."""

    def outcome(self, session: S, utterance: Utterance, message: Outcome) -> None:
        """What became of an utterance. Calls `session.kept` with it once it may be sent."""

    def revised(self, session: S, update: SpeakerUpdate) -> None:
        """Who said what of an earlier result, as it is known by now. Calls `session.told` with it once it may be
        sent."""

    def named(self, session: S, before: Collection[str]) -> None:
        """Somebody has said who voices are. before: all who had been named until then."""

    def dropped(self, seconds: float) -> None:
        """Speech too short to be an utterance."""
