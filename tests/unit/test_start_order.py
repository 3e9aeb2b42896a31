"""What is told of models while they load, and the budget."""

from wernicke_daemon.hardware.budget import Need
from wernicke_daemon.processes.start_order import Loaded, line, table

CARD = {"name": "a card", "total_mib": 24_576, "free_mib": 5_000}


def test_a_line_for_each_model() -> None:
    """Seconds, what the card lost meanwhile, and what the process holds; what is not known is left out."""
    assert line(Loaded("asr", "large-v3", 12.34, 4_900, 5_000)) == (
        "asr: large-v3 in 12.3 s, 4900 MiB of the card (5000 MiB its own)"
    )
    assert line(Loaded("ingest", "silero", 0.5, 0, None)) == "ingest: silero in 0.5 s, 0 MiB of the card"
    assert line(Loaded("ingest", "silero", 0.5, None, None)) == "ingest: silero in 0.5 s"


def test_the_budget_shows_planned_beside_taken() -> None:
    """What shares a process is one line; what can't be planned is said so; what is free comes last."""
    needs = [Need("correction", "mine", None), Need("asr", "Whisper", 4_900), Need("asr", "alignment", 1_900)]
    loaded = [Loaded("correction", "mine", 1.0, 9_000, None), Loaded("asr", "large-v3", 1.0, None, 1)]
    rows = [row.split() for row in table(needs, loaded, [CARD])]
    assert rows == [
        ["planned", "MiB", "taken", "MiB"],
        ["correction:", "mine", "not", "known", "9000"],
        ["asr:", "Whisper,", "alignment", "6800", "-"],
        ["a", "card:", "free", "of", "24576", "MiB", "5000"],
    ]
    assert len({len(row) for row in table(needs, loaded, [CARD])}) == 1


def test_a_card_that_stops_answering_is_left_out() -> None:
    """The table of what was planned is shown all the same."""
    assert [row.split() for row in table([Need("asr", "Whisper", 1)], [], [])][1:] == [["asr:", "Whisper", "1", "-"]]


def test_each_card_has_its_rows() -> None:
    """Replicas of a stage on one card are counted together, planned and taken."""
    needs = [Need("asr", "Whisper", 4_900), Need("asr", "Whisper", 4_900), Need("asr", "Whisper", 4_900, card=1)]
    loaded = [
        Loaded("asr", "large-v3", 1.0, 4_000, None),
        Loaded("asr", "large-v3", 1.0, 4_100, None, 1),
        Loaded("asr", "large-v3", 1.0, 4_200, None, 2, card=1),
    ]
    rows = [row.split() for row in table(needs, loaded, [CARD, {**CARD, "name": "another", "free_mib": 7}])]
    assert rows[1:] == [
        ["asr:", "2", "×", "Whisper", "9800", "8100"],
        ["a", "card:", "free", "of", "24576", "MiB", "5000"],
        ["asr:", "Whisper", "4900", "4200"],
        ["another:", "free", "of", "24576", "MiB", "7"],
    ]
    assert line(loaded[1]).startswith("asr 1: large-v3")
