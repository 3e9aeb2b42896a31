"""What an actor is given of a cluster, and what is said where no node has it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from wernicke_daemon.cluster.messages import Share

Node = Mapping[str, Any]


def cards(share: Share, cluster: Mapping[str, float]) -> float:
    """How many to ask for. cluster: all its resources, as Ray has them."""
    return share.gpus if cluster.get("GPU", 0.0) else 0.0


def possible(cpus: int, gpus: float, nodes: Sequence[Node]) -> bool:
    """Whether there is a node that has so much, if perhaps not free. nodes: as `ray.nodes()` has them."""
    return any(
        node["Resources"].get("CPU", 0) >= cpus and node["Resources"].get("GPU", 0) >= gpus for node in _up(nodes)
    )


def is_up(node_id: str, nodes: Sequence[Node]) -> bool:
    return any(node["NodeID"] == node_id for node in _up(nodes))


def name(node_id: str, nodes: Sequence[Node]) -> str:
    """Of a node, for people."""
    return next((_name(node) for node in nodes if node["NodeID"] == node_id), node_id)


def _name(node: Node) -> str:
    """The id tells nodes on one machine apart."""
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}, {node['NodeID'][:6]})"


def _up(nodes: Sequence[Node]) -> list[Node]:
    return [node for node in nodes if node["Alive"]]


def no_room(cpus: int, gpus: float, nodes: Sequence[Node]) -> str:
    """One sentence naming the ways out."""
    has = "; ".join(f"{_name(node)}: {_amount(node['Resources'])}" for node in _up(nodes))
    return (
        f"No node of the Ray cluster has room for it: it needs {_needs(cpus, gpus)} that nothing else has taken. "
        f"The nodes have {has or 'nothing, as there are none'}. Add a node, or lower [ray.stages] or [ray.gpus]."
    )


def _needs(cpus: int, gpus: float) -> str:
    return f"{cpus} CPU" + (f" and {gpus:g} of a card" if gpus else "")


def _amount(resources: Mapping[str, float]) -> str:
    return f"{resources.get('CPU', 0):g} CPU, {resources.get('GPU', 0):g} GPU"
