"""A Ray cluster of several nodes on this machine, and what may happen to it."""

import contextlib
import subprocess
import sys
from types import TracebackType

import psutil

from tests.process.conftest import ROOT
from tests.waiting import eventually_sync

KILL_ACTOR = """
import sys
from wernicke_daemon.cluster import bridge
bridge.prepare(sys.argv[1])
import ray
ray.init(address=sys.argv[1], logging_level="error")
found, *_ = [a for a in ray.util.list_named_actors(all_namespaces=True) if a["name"].startswith(sys.argv[2])]
ray.kill(ray.get_actor(found["name"], found["namespace"]))
"""


class Nodes:
    """Started by `with`, on loopback."""

    def __init__(self, count: int, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._command = ["-m", "wernicke_daemon.cluster.practice", "--nodes", str(count), "--port", str(port)]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Nodes":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.vanish()

    def start(self) -> None:
        """Returns once all of them are there."""
        self._process = subprocess.Popen(
            [sys.executable, *self._command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the cluster could not be started"

    def vanish(self) -> None:
        """All of it at once, the head with it."""
        assert self._process is not None
        processes = self._all()
        self._process.kill()
        for process in processes:
            _kill(process)
        self._process.wait()
        eventually_sync(lambda: not any(process.is_running() for process in processes))

    def _all(self) -> list[psutil.Process]:
        assert self._process is not None
        return psutil.Process(self._process.pid).children(recursive=True)

    def hosts(self) -> dict[psutil.Process, list[psutil.Process]]:
        """The process that is each node's own, the head's first, with those of actors on it."""
        raylets = sorted(
            (process for process in self._all() if process.name() == "raylet"), key=lambda one: one.create_time()
        )
        return {raylet: [child for child in raylet.children() if _is_actor(child)] for raylet in raylets}

    def actors(self) -> list[psutil.Process]:
        return [actor for actors in self.hosts().values() for actor in actors]

    def kill_actor(self, stage: str) -> None:
        """By Ray."""
        subprocess.run([sys.executable, "-c", KILL_ACTOR, self.address, stage], cwd=ROOT, check=True)

    def kill_the_heads_node(self) -> None:
        """-9: all of it but what keeps the cluster together. The bridge, which is on no other, is left there."""
        _kill(next(iter(self.hosts())))

    def kill_a_node(self) -> None:
        """-9: one that has actors, but not the head's."""
        _, *others = self.hosts().items()
        _kill(next(raylet for raylet, actors in others if actors))


def _is_actor(process: psutil.Process) -> bool:
    return any(part.startswith("ray::Hosted") for part in process.cmdline())


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
