"""Starts the processes of one replica and numbers them."""

from collections.abc import Callable
from functools import partial

from ipc.messages import FromStage, Incoming, Ready, StageName
from wernicke_daemon.processes.incarnation import Incarnation
from wernicke_daemon.processes.peer import Events, Identity, Peers
from wernicke_daemon.processes.stage_setup import StageSetup


class Launcher:
    """Of one replica."""

    def __init__(
        self,
        stage: StageName,
        replica: int,
        setup: StageSetup,
        peers: Peers,
        on_exit: Callable[[int, int | str], None],
        on_message: Callable[[int, Incoming | FromStage], None],
        on_line: Callable[[bytes], None],
    ) -> None:
        """on_exit: called with epoch and how it ended, on_message with epoch and message. All three on any thread."""
        self.epoch = 0  # of the process that was started last, or could not be; 0 before the first
        self._stage: StageName = stage  # whose processes it starts
        self._replica = replica  # its number within the stage
        self._setup = setup  # what each of them is told
        self._peers = peers  # where they run
        self._on_exit = on_exit  # told when one has ended
        self._on_message = on_message  # told what one says
        self._on_line = on_line  # told what one prints

    def launch(self, before: Ready | None, now: float) -> Incarnation:
        """before: what an earlier process said of its engine, which this one is to load again; None to choose one.
        Raises NotLaunched."""
        self.epoch += 1
        who = Identity(self._stage, self._replica, self.epoch)
        events = Events(partial(self._on_message, self.epoch), partial(self._on_exit, self.epoch), self._on_line)
        return Incarnation(who, self._setup.pinned(self._stage, before), self._peers, events, now)
