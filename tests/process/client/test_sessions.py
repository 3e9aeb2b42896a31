"""The reference client against a small server, in health and in trouble."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.sync.server import ServerConnection

from tests.process.client.fake_server import FINAL, Behaviour, Fake, sends, server, session, silence, vanishes
from wernicke_daemon.client import Client, ClientError, Exit, ParsedMessage, exchange
from wernicke_daemon.formats import audio_files


def is_full(fake: Fake, connection: ServerConnection) -> None:
    error = {"type": "error", "error": True, "code": "SERVER_OVERLOADED", "message": "All 5 places are taken."}
    connection.send(json.dumps(error))
    connection.close(1013)


def goes_idle(fake: Fake, connection: ServerConnection) -> None:
    connection.close(1000)


def is_taken_over(fake: Fake, connection: ServerConnection) -> None:
    fake.read_to_stop(connection)
    connection.send(json.dumps(FINAL))
    connection.close(1000)


async def test_a_session_sends_all_audio_and_brings_all_results() -> None:
    """Everything up to the end of the session comes back, and every byte went out."""
    with server(sends(FINAL, FINAL)) as fake:
        received = await session(fake.url)
    assert [message["type"] for message in received] == ["final", "final", "session_ended"]
    assert len(fake.audio) == 3 * 6400


async def test_options_travel_in_the_query_and_the_token_in_a_header() -> None:
    """Format, language and events as the protocol has them; the token is never in the address."""
    with server(sends()) as fake:
        await session(f"{fake.url}?correction=required", token="s3cret", language="en", events=["session", "ack"])
    [request] = fake.requests
    assert parse_qs(urlsplit(request.path).query) == {
        "correction": ["required"],
        "sample_rate": ["16000"],
        "channels": ["1"],
        "encoding": ["f32le"],
        "language": ["en"],
        "events": ["session,ack"],
    }
    assert request.headers["Authorization"] == "Bearer s3cret"


async def test_flush_is_said_in_between() -> None:
    """`flush` reaches the server before `stop`."""
    with server(sends()) as fake:
        async with Client(fake.url) as client:
            await client.send(bytes(4))
            await client.flush()
            await client.stop()
            assert [message["type"] async for message in client] == ["session_ended"]
    assert fake.texts == ['{"type":"flush"}', "stop"]


@pytest.mark.parametrize(
    ("status", "exit_code", "word"),
    [
        (HTTPStatus.UNAUTHORIZED, Exit.REFUSED, "WERNICKE_TOKEN"),
        (HTTPStatus.FORBIDDEN, Exit.REFUSED, "403"),
        (HTTPStatus.NOT_FOUND, Exit.UNREACHABLE, "not a Wernicke server"),
        (HTTPStatus.OK, Exit.UNREACHABLE, "not a Wernicke server"),
    ],
)
async def test_http_answers_become_sentences(status: HTTPStatus, exit_code: Exit, word: str) -> None:
    """A refusal is told from a server that is something else."""
    with server(sends(), refusal=status) as fake, pytest.raises(ClientError, match=word) as failed:
        await session(fake.url)
    assert failed.value.exit_code is exit_code


async def test_a_port_that_speaks_something_else_is_named() -> None:
    """Not HTTP at all: check the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
                connection.recv(65_536)

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(ClientError, match="not a Wernicke server") as failed:
            await session(f"ws://127.0.0.1:{listening.getsockname()[1]}/transcribe")
        thread.join()
    assert failed.value.exit_code is Exit.UNREACHABLE


async def test_a_server_that_is_not_there_is_said_with_what_to_do() -> None:
    """Connection refused: how to start the daemon."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ClientError, match=r"python run_daemon\.py") as failed:
        await session(f"ws://127.0.0.1:{port}/transcribe")
    assert failed.value.exit_code is Exit.UNREACHABLE


@pytest.mark.parametrize("url", ["localhost:8000", "http://localhost:8000/", "ws://[::1", "ws://host:port/"])
async def test_a_bad_address_is_a_usage_error(url: str) -> None:
    """The sentence shows what an address looks like."""
    with pytest.raises(ClientError, match=r"ws://127\.0\.0\.1:8000/transcribe") as failed:
        await session(url)
    assert failed.value.exit_code is Exit.USAGE


@pytest.mark.parametrize("token", ["two\r\nlines", "秘密"])
async def test_a_garbled_token_is_not_sent(token: str) -> None:
    """A token can't add headers of its own, and is not shown."""
    with server(sends()) as fake, pytest.raises(ClientError) as failed:
        await session(fake.url, token=token)
    assert failed.value.exit_code is Exit.USAGE
    assert token not in str(failed.value)


async def test_a_full_server_is_quoted() -> None:
    """1013: the server's own sentence, and the code for a refusal."""
    with server(is_full) as fake, pytest.raises(ClientError, match="All 5 places are taken") as failed:
        await session(fake.url)
    assert failed.value.exit_code is Exit.REFUSED


@pytest.mark.parametrize(("behaviour", "results"), [(vanishes, 1), (goes_idle, 0)])
async def test_an_early_end_is_a_loss(behaviour: Behaviour, results: int) -> None:
    """What came before is kept, and the end is not taken for a good one, with close code 1000 neither."""
    received: list[ParsedMessage] = []

    async def endless() -> AsyncIterator[bytes]:
        yield bytes(6400)
        await asyncio.Event().wait()

    with server(behaviour) as fake, pytest.raises(ClientError) as failed:
        async with Client(fake.url) as client:
            await exchange(client, endless(), received.append)
    assert failed.value.exit_code is Exit.LOST
    assert len(received) == results


async def test_a_close_without_the_word_that_it_was_all_is_a_loss() -> None:
    """After stop and with close code 1000 too: another connection has taken the session over, say."""
    received: list[ParsedMessage] = []
    with server(is_taken_over) as fake, pytest.raises(ClientError) as failed:
        async with Client(fake.url) as client:
            await exchange(client, silence(), received.append)
    assert failed.value.exit_code is Exit.LOST
    assert received == [FINAL]


async def test_a_close_before_stop_is_a_loss_whoever_notices_it_first() -> None:
    """A stop that comes too late makes it no good end."""
    with server(goes_idle) as fake:
        async with Client(fake.url) as client:
            await client._socket.wait_closed()
            with pytest.raises(ClientError):
                await client.stop()
            with pytest.raises(ClientError) as failed:
                async for _ in client:
                    pass
    assert failed.value.exit_code is Exit.LOST


async def test_input_that_breaks_off_still_brings_its_results() -> None:
    """The session is stopped in good order before the failure is raised."""

    async def breaking() -> AsyncIterator[bytes]:
        yield bytes(6400)
        raise audio_files.MediaError("broken")

    received: list[ParsedMessage] = []
    with server(sends(FINAL)) as fake, pytest.raises(audio_files.MediaError, match="broken"):
        async with Client(fake.url) as client:
            await exchange(client, breaking(), received.append)
    assert received[0] == FINAL
    assert fake.texts == ["stop"]
