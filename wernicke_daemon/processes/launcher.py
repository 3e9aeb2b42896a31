"""Starts the processes of one stage and numbers them."""

from collections.abc import Callable
from functools import partial

import zmq

from ipc.messages import Ready, StageName
from wernicke_daemon.processes.incarnation import Incarnation, StageSetup
from wernicke_daemon.processes.links import Links


class NotLaunched(Exception):
    """The machine has no room for another process, or for its sockets."""


class Launcher:
    """Starts the processes of one stage."""

    def __init__(
        self,
        stage: StageName,
        setup: StageSetup,
        links: Links,
        on_exit: Callable[[int, int], None],
        on_line: Callable[[bytes], None],
    ) -> None:
        """on_exit: called with epoch and return code. Like on_line on a thread of the child (see Child.start)."""
        self.epoch = 0  # of the process that was started last, or could not be; 0 before the first
        self._stage: StageName = stage  # whose processes it starts
        self._setup = setup  # what each of them is told
        self._links = links  # where each gets its sockets
        self._on_exit = on_exit  # told when one has ended
        self._on_line = on_line  # told what one prints

    def launch(self, before: Ready | None, now: float) -> Incarnation:
        """before: what an earlier process said of its engine, which this one is to load again; None to choose one.
        Raises NotLaunched."""
        self.epoch += 1
        setup = self._setup.pinned(self._stage, before)
        on_exit = partial(self._on_exit, self.epoch)
        try:
            return Incarnation(self._stage, self.epoch, setup, self._links, on_exit, self._on_line, now)
        except (OSError, zmq.ZMQError) as error:
            self._links.close((self._stage, self.epoch))
            raise NotLaunched(str(error)) from None
