"""An utterance that was given up while the recogniser was down, and is to be done once that is back. Pure data."""

import msgspec

from ipc.messages import Boundary
from wernicke_daemon.utterances.utterance import Utterance


class Late(msgspec.Struct, frozen=True):
    """What has to be known of it, besides its session and its audio. sequence, buffer_id, boundary, wall_start: as in
    Utterance."""

    sequence: int
    buffer_id: str
    boundary: Boundary
    wall_start: float

    @classmethod
    def of(cls, utterance: Utterance) -> "Late":
        return cls(utterance.sequence, utterance.buffer_id, utterance.boundary, utterance.wall_start)

    def needs(self, start: int, end: int) -> bool:
        """Whether some of the session's samples [start, end) are its own."""
        return self.boundary.start < end and start < self.boundary.end
