"""Clients that reset their connection, many of them: the service goes on for the others."""

from pathlib import Path

import pytest

from ipc import event_loop
from tests import misbehaviour, wire
from tests.process.conftest import embedded, serving
from wernicke_daemon.commands.serve import run_until_signal
from wernicke_daemon.config.typed_toml import ConfigError
from wernicke_daemon.hardware.profiles import ProfileChoice

SAID = (b"", misbehaviour.CONNECTED[:30], misbehaviour.CONNECTED)
"""By those that reset: nothing (before they are accepted, or right after), half a handshake, a whole one."""


def test_resets_end_no_service(tmp_path: Path) -> None:
    """Hundreds, at each point of the handshake. The daemon logs no error for it and ends as it should."""
    with serving(tmp_path) as (process, port):
        for said in SAID * 150:
            misbehaviour.reset(port, said)
        messages = event_loop.run(wire.transcribe(port, wire.turn(5).astype("<f4").tobytes()))
        assert wire.finals(messages)[0]["text"]
        assert process.poll() is None
    logged = (tmp_path / "data" / "logs" / "wernicke.jsonl").read_text(encoding="utf-8")
    assert "Traceback" not in logged


def test_more_clients_than_the_loop_has_sockets_for_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start, and with a number that does."""
    monkeypatch.setattr(event_loop, "MOST_SOCKETS", 512)
    config = embedded(tmp_path, max_connections=269)
    with pytest.raises(ConfigError, match=r"max_connections is 269.* 268 or less"):
        run_until_signal(config, ProfileChoice("embedded", "for a test"), announce=lambda line: None)
