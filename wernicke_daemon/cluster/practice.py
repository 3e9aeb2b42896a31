"""Run as `python -m wernicke_daemon.cluster.practice`: a Ray cluster of several nodes on this machine alone, to try
what would run on several machines. It listens on loopback only, and ends with Ctrl-C."""

import argparse
import contextlib
import signal
import threading
from typing import Any

from wernicke_daemon.cluster import bridge

PORT = 6399
"""Not Ray's own (6379), at which a real cluster's head may be."""

STORE_BYTES = 80 * 1024 * 1024
"""Of audio on its way, on each node; Ray takes no less."""


def nodes(count: int, port: int, cpus: int) -> Any:
    """A started ray.cluster_utils.Cluster. count: of nodes, the head included. cpus: of each, for Ray to give away;
    there need not be so many."""
    bridge.prepare(address(port))
    from ray.cluster_utils import Cluster

    options = {
        "num_cpus": cpus,
        "object_store_memory": STORE_BYTES,
        "node_ip_address": "127.0.0.1",
        "include_dashboard": False,
    }
    cluster = Cluster(initialize_head=True, head_node_args={**options, "gcs_server_port": port})
    for _ in range(count - 1):
        cluster.add_node(**options)
    return cluster


def address(port: int) -> str:
    return f"127.0.0.1:{port}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m wernicke_daemon.cluster.practice", description=__doc__)
    parser.add_argument("--nodes", type=int, default=2, help="how many, the head included (%(default)s)")
    parser.add_argument("--cpus", type=int, default=4, help="of each node, for actors to take one each (%(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="of the head (%(default)s)")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # no node is left behind
    cluster = nodes(wanted.nodes, wanted.port, wanted.cpus)
    try:
        print(f'{wanted.nodes} nodes at [ray] address = "{address(wanted.port)}"; Ctrl-C ends them.', flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
