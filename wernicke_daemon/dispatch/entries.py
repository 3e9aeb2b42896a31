"""What stands in the ledger: utterances under way, and the jobs that stages do for them."""

from dataclasses import dataclass, field
from typing import Protocol

from ipc.messages import StageName, Work
from wernicke_daemon.utterances.utterance import Utterance


class Owner(Protocol):
    """Whose utterances they are: the session. It is told; what a job needs to know, the utterance carries."""

    def recognised(self, utterance: Utterance, shed: bool) -> None:
        """The text is there; speakers and correction are not. shed: nobody need be told now."""

    def audio_released(self, utterance: Utterance) -> None:
        """No stage will read its audio any more. Said once of each utterance, before it is settled."""

    def settled(self, utterance: Utterance) -> None:
        """Nothing more will change."""


@dataclass(eq=False)
class Entry:
    """An utterance from its submission until it is settled."""

    utterance: Utterance
    owner: Owner
    served_from: float  # seconds of the service clock at its submission
    open_jobs: dict[StageName, "JobRow"] = field(default_factory=dict)  # what is not done yet for it


@dataclass(eq=False)
class JobRow:
    """A job from asked-for to answered, with all that is known of it."""

    job_id: int  # unique in the run
    stage: StageName
    session: str  # whose turn it takes
    work: Work
    limit_s: float  # how long it may run
    created: float  # seconds of the front's monotonic clock
    entry: Entry | None = None  # the utterance that it is for; None for an ingest job
    due: float | None = None  # seconds of the service clock; nobody waits for it from then on. None: no limit
    attempts: int = 0  # times that a stage began it
    running: bool = False  # the stage that has it has begun it
    withdrawn: bool = False  # nobody needs it any more, but a stage has it
