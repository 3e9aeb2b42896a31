"""What an actor is given of a cluster, and what is said where no node has it."""

from typing import Any

from wernicke_daemon.cluster import placement
from wernicke_daemon.cluster.messages import Share

SMALL = {"CPU": 2.0, "node:10.0.0.5": 1.0}
CARD = {"CPU": 8.0, "GPU": 1.0}


def node(name: str, resources: dict[str, float], alive: bool = True) -> dict[str, Any]:
    return {
        "NodeID": f"{name}0123456789",
        "NodeManagerHostname": name,
        "NodeManagerAddress": "10.0.0.5",
        "Resources": resources,
        "Alive": alive,
    }


def test_a_share_of_a_card_is_asked_for_where_there_are_cards() -> None:
    assert placement.cards(Share(1, 0.5), CARD) == 0.5
    assert placement.cards(Share(1, 0.5), SMALL) == 0.0
    assert placement.cards(Share(1, 0.0), CARD) == 0.0


def test_one_node_has_to_have_all_of_it() -> None:
    nodes = [node("many", {"CPU": 8.0}), node("card", {"CPU": 1.0, "GPU": 1.0})]
    assert placement.possible(8, 0.0, nodes)
    assert placement.possible(1, 0.5, nodes)
    assert not placement.possible(2, 0.5, nodes)


def test_a_node_that_is_gone_has_nothing() -> None:
    gone = node("gone", CARD, alive=False)
    assert not placement.possible(1, 0.0, [gone])
    assert not placement.is_up("gone0123456789", [gone])
    assert placement.is_up("here0123456789", [gone, node("here", CARD)])


def test_nodes_on_one_machine_are_told_apart() -> None:
    first, second = node("pc", SMALL), node("pc", SMALL) | {"NodeID": "zzzzzzzzzzz"}
    assert placement.name("pc0123456789", [first, second]) == "pc (10.0.0.5, pc0123)"
    assert placement.name("zzzzzzzzzzz", [first, second]) == "pc (10.0.0.5, zzzzzz)"


def test_a_refusal_says_what_is_needed_what_there_is_and_what_to_do() -> None:
    said = placement.no_room(2, 0.5, [node("pc", CARD), node("gone", CARD, alive=False)])
    assert "needs 2 CPU and 0.5 of a card" in said
    assert "pc (10.0.0.5, pc0123): 8 CPU, 1 GPU" in said
    assert "gone" not in said
    assert "[ray.stages]" in said
    assert "nothing, as there are none" in placement.no_room(1, 0.0, [])
