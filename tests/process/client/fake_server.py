"""A small server that speaks the protocol, well or badly."""

import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from wernicke_daemon.client import Client, ParsedMessage, exchange

FINAL = {
    "type": "final",
    "sequence": 1,
    "timestamp_range": {"start": 1.0, "end": 3.0},
    "segments": [{"start": 0.5, "end": 1.5, "speaker": "Speaker_00", "text": "good morning"}],
}


@dataclass
class Fake:
    """A server of one behaviour. audio, texts, requests: what clients sent."""

    url: str = ""
    audio: bytearray = field(default_factory=bytearray)
    texts: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def read_to_stop(self, connection: ServerConnection) -> None:
        while (message := connection.recv()) != '{"type":"stop"}':
            if isinstance(message, bytes):
                self.audio += message
            else:
                self.texts.append(message)
        self.texts.append("stop")


Behaviour = Callable[[Fake, ServerConnection], None]


@contextmanager
def server(behaviour: Behaviour, refusal: HTTPStatus | None = None) -> Iterator[Fake]:
    fake = Fake()

    def handle(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            behaviour(fake, connection)

    def admit(connection: ServerConnection, request: Request) -> Response | None:
        fake.requests.append(request)
        return connection.respond(refusal, "no\n") if refusal else None

    with serve(handle, "127.0.0.1", 0, process_request=admit, compression=None) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        fake.url = f"ws://127.0.0.1:{listening.socket.getsockname()[1]}/transcribe"
        yield fake
        listening.shutdown()
        thread.join()


def sends(*messages: dict[str, Any]) -> Behaviour:
    """Reads until `stop`, answers, says that the session has ended."""

    def behave(fake: Fake, connection: ServerConnection) -> None:
        fake.read_to_stop(connection)
        for message in (*messages, {"type": "session_ended"}):
            connection.send(json.dumps(message))

    return behave


def vanishes(fake: Fake, connection: ServerConnection) -> None:
    """One result, then the connection is cut without a word."""
    connection.send(json.dumps(FINAL))
    connection.recv()
    connection.socket.shutdown(socket.SHUT_RDWR)


async def silence(chunks: int = 3) -> AsyncIterator[bytes]:
    for _ in range(chunks):
        yield bytes(6400)


async def session(url: str, **options: Any) -> list[ParsedMessage]:
    received: list[ParsedMessage] = []
    async with Client(url, **options) as client:
        await exchange(client, silence(), received.append)
    return received
