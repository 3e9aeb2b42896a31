"""A process of a stage, wherever it runs: how it is started, spoken to, and ended.

What it does, and whether it is alive, is judged by what it says (`incarnation.py`), the same for all of them.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from ipc.messages import FromStage, Incoming, Job, StageName, ToStage
from wernicke_daemon.processes.stage_setup import StageSetup


class NotLaunched(Exception):
    """There is no room for another process; the message says what lacks."""


class Identity(NamedTuple):
    """One process among all that ever run."""

    stage: StageName
    replica: int  # its number within the stage, from 0
    epoch: int  # its number among the processes of that replica, from 1


class Events(NamedTuple):
    """What comes of a process. May be called on any thread, and before `start` has returned; must not raise."""

    on_message: Callable[[Incoming | FromStage], None]
    """It says so: HELLO first, and what it says after one another in that order, but work and control apart."""
    on_exit: Callable[[int | str], None]
    """It is gone, once and for all: its exit code (negative: the signal, on POSIX), or where it has none what became
    of it, in words that stand behind "its process"."""
    on_line: Callable[[bytes], None]
    """It printed a line, without its end; or all lines of a stack."""


class Peer(Protocol):
    """A process, from its start to its end."""

    @property
    def pid(self) -> int | None:
        """None where it is not on this machine."""

    def send_work(self, job: Job) -> None: ...

    def send_order(self, order: ToStage) -> None: ...

    def cpu_s(self) -> float | None:
        """CPU seconds that it has used; None where that is not known. Asked with each message: it must be quick."""

    def kill(self) -> None:
        """End it at once; `on_exit` follows. Nothing if it has ended."""

    def close(self) -> None:
        """After its end: what it still had to say is not heard any more."""


class Peers(Protocol):
    """Starts processes in one place: on this machine, say."""

    def start(self, who: Identity, setup: StageSetup, events: Events) -> Peer:
        """Called on the event loop's (main) thread. Raises NotLaunched, and then none of the events comes."""

    def stop(self) -> None:
        """All of its processes have ended; it is not used any more."""
