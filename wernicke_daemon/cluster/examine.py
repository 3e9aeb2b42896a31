"""Run as `python -m wernicke_daemon.cluster.examine`, with a Config on stdin as `parent_watch.read_boot` takes it:
prints as one line of JSON what each node of the cluster has of what stages there need; where that can't be said,
`problem` and `fix`.
"""

import json
import os
import sys
from importlib.metadata import version
from typing import Any, NoReturn

import msgspec

from ipc import gpu, parent_watch
from wernicke_daemon.cluster import bridge, placement
from wernicke_daemon.cluster.messages import Unreachable
from wernicke_daemon.config.schema import Config
from wernicke_daemon.models import presence

NODE_S = 60.0
"""For a node to say what it has."""

NOT_INSTALLED = "install the same wernicke-daemon there, in the Python environment that `ray start` is run in"


def main() -> None:
    config = msgspec.msgpack.decode(parent_watch.read_boot(), type=Config)
    bridge.prepare(config.ray.address)
    try:
        from wernicke_daemon.cluster import driver
    except ImportError as error:
        _tell({"problem": f"a package is missing here ({error})", "fix": "pip install 'wernicke-daemon[ray]'"})
    driver.join(config.ray.address, _refused)
    _tell({"nodes": _nodes(config)})


def _refused(why: Unreachable) -> NoReturn:
    _tell({"problem": why.why, "fix": "start the cluster, or correct [ray] address in config.toml"})


def _tell(found: dict[str, Any]) -> NoReturn:
    print(json.dumps(found), flush=True)
    os._exit(0)


def _nodes(config: Config) -> list[dict[str, Any]]:
    """Each with its `name`, and what `look` found or `problem` and `fix`."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"]]
    asked = [
        ray.remote(look)
        .options(num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], False))
        .remote(msgspec.msgpack.encode(config))
        for node in nodes
    ]
    return [
        {"name": placement.name(node["NodeID"], nodes), **_answer(one)} for node, one in zip(nodes, asked, strict=True)
    ]


def _answer(asked: Any) -> dict[str, Any]:
    import ray
    from ray.exceptions import RayError

    try:
        return dict(ray.get(asked, timeout=NODE_S))
    except (RayError, ImportError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return {"problem": f"can't say what it has ({lines[-1].strip()})", "fix": NOT_INSTALLED}


def look(config: bytes) -> dict[str, Any]:
    """On a node. config: in msgpack. missing: models of the stages that are to run in the cluster."""
    settings = msgspec.msgpack.decode(config, type=Config)
    lacking = [
        f"{model.name} for {model.purpose}: {how}"
        for model in presence.named(settings)
        if settings.ray.actors(presence.STAGES[model.purpose])
        if not model.instead and (how := presence.absence(model, settings))
    ]
    return {
        "version": version("wernicke-daemon"),
        "python": ".".join(map(str, sys.version_info[:3])),
        "missing": lacking,
        "cards": [card["name"] for card in gpu.cards()],
    }


if __name__ == "__main__":
    main()
