"""`wernicke stop`, over a real daemon: as a user without its console ends it."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

from tests import wire
from tests.process.conftest import ROOT, serving, settings, stop
from wernicke_daemon import stop_requests
from wernicke_daemon.client.connecting import Exit


async def test_it_ends_in_order_and_says_what_became_of_it(tmp_path: Path) -> None:
    """The client that was speaking has its result; when the command has ended the process has, too."""
    with serving(tmp_path) as (process, port):
        async with wire.open_socket(port, f"{wire.MONO}&events=ack") as client:
            await client.send(wire.turn(5).astype("<f4").tobytes())
            await wire.until(client, "audio_received")
            done = asyncio.create_task(asyncio.to_thread(stop, tmp_path))
            assert (await wire.until(client, "final"))[-1]["text"]
            said = await done
        assert process.wait(0) == 0
    assert said.returncode == Exit.OK and "all results of 1 open session are there" in said.stdout, said
    assert stop_requests.running(tmp_path / "data") is None
    again = stop(tmp_path)
    assert again.returncode == Exit.UNREACHABLE and "No daemon runs" in again.stderr


async def test_what_is_unfinished_is_said(tmp_path: Path) -> None:
    """There was next to no time for it; the journal has it."""
    with serving(tmp_path, "[runtime]\ndrain_timeout_s = 0.001") as (process, port):
        async with wire.open_socket(port, f"{wire.MONO}&events=ack") as client:
            await client.send(wire.turn(5).astype("<f4").tobytes())
            await wire.until(client, "audio_received")
            said = await asyncio.to_thread(stop, tmp_path)
        assert process.wait(0) == 0
    assert said.returncode == Exit.LOST and "the next start makes from the journal" in said.stdout, said


def test_only_who_knows_the_secret_stops_it(tmp_path: Path) -> None:
    """Others are hung up on, and a few at a time; the one who does is not kept waiting by them."""
    with serving(tmp_path) as (process, _):
        there = stop_requests.running(tmp_path / "data")
        assert there is not None and there.pid == process.pid and there.secret not in repr(there)
        for said in (b"\n", b"0" * 64 + b"\n", bytes(1000)):
            with socket.create_connection(("127.0.0.1", there.port), 30) as line:
                line.sendall(said)
                assert line.recv(100) == b""
        assert process.poll() is None
        assert stop(tmp_path).returncode == Exit.OK and process.wait(30) == 0


def test_what_a_killed_daemon_left_is_nobody(tmp_path: Path) -> None:
    with serving(tmp_path):
        assert stop_requests.running(tmp_path / "data") is not None
    assert stop_requests.running(tmp_path / "data") is not None  # it was killed
    said = stop(tmp_path)
    assert said.returncode == Exit.UNREACHABLE and "Traceback" not in said.stderr


def test_a_file_that_is_damaged_is_nobody_either(tmp_path: Path) -> None:
    settings(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / stop_requests.FILE_NAME).write_bytes(b"\xff{")
    assert stop(tmp_path).returncode == Exit.UNREACHABLE


def test_a_daemon_that_can_not_start_leaves_the_other_within_reach(tmp_path: Path) -> None:
    """It has the same port and directory."""
    with serving(tmp_path) as (process, port):
        options = ["--config", str(tmp_path / "config.toml"), "--profile", "embedded", "--port", str(port)]
        command = [sys.executable, "run_daemon.py", *options]
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
        assert second.returncode != 0 and process.poll() is None, second
        assert stop(tmp_path).returncode == Exit.OK
        assert process.wait(0) == 0
