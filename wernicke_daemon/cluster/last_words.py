"""How a bridge ends: it says why, and does not wait for what Ray would do."""

import os
import sys
from typing import NoReturn

import zmq

from ipc import codec
from ipc.channels import Socket
from wernicke_daemon.cluster.messages import Lost, Unreachable

LINGER_MS = 1000
"""For what was said to leave."""


def leave(reports: Socket, words: Lost | Unreachable) -> NoReturn:
    """Called on any thread, while no other uses the socket."""
    reports.setsockopt(zmq.LINGER, LINGER_MS)
    reports.send(codec.encode(words))
    context = reports.context
    reports.close()
    context.destroy()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
