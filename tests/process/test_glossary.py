"""Terms and rules of config.toml in a running daemon."""

from pathlib import Path

from tests import wire
from tests.process.conftest import embedded, started


async def test_terms_and_rules_hold_in_every_session(tmp_path: Path) -> None:
    """A client's own terms come first. What a rule writes is in partials, finals and words."""
    config = embedded(tmp_path, glossary=("Ann", "Bob"), replacements=("morning -> evening",))
    async with started(config) as daemon:
        query = f"{wire.MONO}&events=session,partial"
        async with wire.open_socket(daemon.port, f"{query}&glossary=Cy,Ann") as socket:
            hello = await wire.receive(socket)
            session = next(each for each in daemon.sessions if each.id == hello["session_id"])
            assert session.options.glossary == ("Cy", "Ann", "Bob")
        messages = await wire.transcribe(daemon.port, wire.turn(0).astype("<f4").tobytes(), query)
    [final] = wire.finals(messages)
    said = [final["text"], "".join(word["word"] for part in final["segments"] for word in part["words"])]
    said += [message["text"] for message in messages if message["type"] == "partial"]
    assert len(said) > 2 and not any("morning" in text for text in said)
    assert "good evening everyone" in final["text"] and "evening" in said[1]
