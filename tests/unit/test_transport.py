"""Connections that are too many are cut, and told in one line."""

from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.waiting import eventually
from wernicke_daemon.gateway.connection_limit import MOST_WITHOUT_SESSION
from wernicke_daemon.gateway.transport import OpenConnections
from wernicke_daemon.observability import log_throttle

FLOOD = "192.0.2.1"


class Socket:
    """Of which nothing is looked at but where it comes from, and whether it was cut."""

    def __init__(self) -> None:
        self.cut = False
        self.tcp = SimpleNamespace(get_extra_info=lambda name: (FLOOD, 1), abort=self.abort)

    def abort(self) -> None:
        self.cut = True


async def test_all_that_were_cut_within_a_span_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """With their number, and where the first of them came from."""
    monkeypatch.setattr(log_throttle, "SPAN_S", 0.02)
    sockets: list[Any] = [Socket() for _ in range(MOST_WITHOUT_SESSION + 50)]
    connections = OpenConnections(in_session=lambda: ())
    with capture_logs() as log:
        for socket in sockets:
            connections.opened(socket)
        assert log == []
        assert [socket.cut for socket in sockets] == [True] * 50 + [False] * MOST_WITHOUT_SESSION
        assert list(connections) == sockets[50:]
        await eventually(lambda: log)
    assert log == [{"event": "connections_cut", "connections": 50, "peer": FLOOD, "log_level": "warning"}]
