"""Run as `python -m wernicke_daemon.cluster.bridge`, by the daemon only: a driver of the Ray cluster, with an actor for
each replica that runs there. `peers.py` is its other half.

It lives as long as its cluster does. Where the head does not answer any more, or this machine's own part of Ray has
ended, it says so and ends: Ray would end it for the first, too, without a word, and leave it there for the second. The
front starts another one as soon as a replica is to be started again.
"""

import os
from urllib.parse import urlsplit

import msgspec
import zmq

from ipc import channels, parent_watch
from ipc.channels import Socket
from wernicke_daemon.cluster.last_words import leave
from wernicke_daemon.cluster.messages import BridgeBoot, Unreachable

LOOPBACK = ("127.0.0.1", "localhost")


def main() -> None:
    parent_watch.ignore_interrupts()
    boot = msgspec.msgpack.decode(parent_watch.read_boot(), type=BridgeBoot)
    parent_watch.watch_parent(boot.link.parent_pid, boot.link.parent_fd)
    reports = channels.connect(zmq.Context[Socket](), zmq.PUSH, boot.link.results, boot.link)
    prepare(boot.address)
    try:
        from wernicke_daemon.cluster import driver
    except ImportError as error:
        leave(reports, Unreachable(f"Stages on Ray need its package ({error}): pip install 'wernicke-daemon[ray]'"))
    driver.run(boot, reports)


def prepare(address: str) -> None:
    """Before Ray is imported, which reads these then. address: of the cluster."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is told to its makers
    if urlsplit(f"//{address}").hostname in LOOPBACK:  # which it would take for this machine's address in its network
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"


if __name__ == "__main__":
    main()
