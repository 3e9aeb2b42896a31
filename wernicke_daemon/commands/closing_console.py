"""The window of the console is closed, or the user logs off, or the machine is shut down: Windows ends the process some
seconds after it was told, or as soon as it answers. Until then the daemon stops as it would by Ctrl-C."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from ipc import win32

ANSWER_S = 4.5
"""Windows waits 5 s (HungAppTimeout, as shipped) and then ends the process."""

DRAIN_S = 2.0
"""For what is under way, of those; what is not final by then is in the journal."""


def answer(event: int, hurry: Callable[[float], None], wait: Callable[[float], None] = time.sleep) -> bool:
    """To Windows, on a thread of its own. False: it is somebody else's. event: CTRL_C_EVENT and so on. hurry: stops the
    daemon, with so many seconds for what is under way. wait: the process may end meanwhile, and is to."""
    if event not in win32.CLOSING_EVENTS:
        return False
    hurry(DRAIN_S)
    wait(ANSWER_S)
    return True


@contextlib.contextmanager
def stopped_with_console(hurry: Callable[[float], None]) -> Iterator[None]:
    """Windows alone has such events; elsewhere there are signals."""
    if sys.platform == "win32":
        with win32.console_events(lambda event: answer(event, hurry)):
            yield
    else:
        yield
