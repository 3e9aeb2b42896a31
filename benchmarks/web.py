"""What pages cost the front, and how soon a caption is there: five live sessions, with and without fifty viewers.

One daemon with engines that only take time, streams of generated conversations in real time, in turns without anybody
who watches and with VIEWERS pages open, ROUNDS times, so that what else the machine does falls on both alike. The
viewers are a process of its own. A caption counts from when the session's own client had it, which the front sends it
at the same moment, to when a page had it.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from websockets.asyncio.client import connect

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import engine_times, report, served
from benchmarks.conversation import Listener, generated
from benchmarks.engine_times import Times
from benchmarks.latency_load import CHUNK_S, MAC, WAIT_S, lateness
from benchmarks.program import Program
from benchmarks.report import Figure
from benchmarks.served import Served
from ipc import event_loop
from ipc.settings import VadSettings
from wernicke_daemon.config.schema import AudioSettings, Config, WebSettings
from wernicke_daemon.web_launch import free_port

SESSIONS = 5
VIEWERS = 50
ROUNDS = 3
SECONDS = 30.0
TIMES = Times(300, 0, 300, 300)
"""Milliseconds of recognition, diarization and correction: late results are the front's doing, not theirs."""

MOST_CPU = 1.10
MOST_P99 = 1.10
MOST_CAPTION_MS = 150.0


async def main() -> None:
    args = _options().parse_args()
    if args.view is not None:
        await _view(args.view, args.viewers)
        return
    vad = VadSettings(engine="energy", silence_s=1.0)
    port = free_port("127.0.0.1")
    config = Config(max_connections=SESSIONS, vad=vad, audio=AudioSettings(ring_seconds=80), web=WebSettings(port=port))
    plan = replace(engine_times.plan_of(config, TIMES), pages=True)
    rounds = []
    with report.workplace() as directory:
        async with served.serving([plan], directory) as [daemon]:
            for number in range(args.rounds):
                for viewers in (0, args.viewers):
                    print(f"round {number + 1}, {viewers} viewers ...", file=sys.stderr, flush=True)
                    rounds.append(await _round(daemon, port, viewers, args.seconds, vad))
    found = _figures(rounds)
    report.show("Pages", ("", "measured", "wanted", ""), ((name, *figure.cells) for name, figure in found.items()))
    report.save(args.json, {name: figure.value for name, figure in found.items()} | {"rounds": rounds})


async def _round(daemon: Served, port: int, viewers: int, seconds: float, vad: VadSettings) -> dict[str, Any]:
    talks = [generated(number, seconds, (vad.phrase_pause_s, vad.silence_s)) for number in range(SESSIONS)]
    listeners = [Listener(talk, MAC, CHUNK_S) for talk in talks]
    async with _viewing(port, viewers) as seen:
        before = daemon.cpu_s_of(None)
        await asyncio.gather(*(listener.run(daemon.url) for listener in listeners))
        cpu_s = daemon.cpu_s_of(None) - before
    until = max(talk.seconds for talk in talks) + WAIT_S
    return {
        "viewers": viewers,
        "front_cpu_s": cpu_s,
        "late_s": [each for listener in listeners for each in lateness(listener, vad, until)],
        "caption_s": _delays(listeners, seen),
    }


@contextlib.asynccontextmanager
async def _viewing(port: int, viewers: int) -> AsyncIterator[list[dict[str, Any]]]:
    """What they saw is in the list at the end."""
    seen: list[dict[str, Any]] = []
    if not viewers:
        yield seen
        return
    process = Program(__file__, "--view", str(port), "--viewers", str(viewers))
    await process.line()  # all are there
    yield seen
    seen += json.loads(await process.rest())


async def _view(port: int, viewers: int) -> None:
    """As pages do; in a process of its own. Ends with stdin."""
    seen: list[dict[str, Any]] = []
    there = asyncio.Semaphore(0)

    async def page() -> None:
        async with connect(f"ws://127.0.0.1:{port}/live/socket", compression=None, max_size=None) as socket:
            async for text in socket:
                now, message = time.monotonic(), json.loads(text)
                if message["type"] == "snapshot":
                    there.release()
                elif message["type"] == "watched" and message["message"]["type"] in ("partial", "final"):
                    seen.append({"key": _key(message["message"]), "at": now})

    pages = [asyncio.create_task(page()) for _ in range(viewers)]
    for _ in pages:
        await there.acquire()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(json.dumps(seen), flush=True)
    for each in pages:
        each.cancel()


def _key(message: dict[str, Any]) -> str:
    return f"{message['session_id']} {message['sequence']} {message['revision']} {message['type']}"


def _delays(listeners: list[Listener], seen: list[dict[str, Any]]) -> list[float]:
    """Seconds, of each caption at each page."""
    had = {
        _key(heard.message): listener.began + heard.at
        for listener in listeners
        for heard in listener.heard
        if heard.message["type"] in ("partial", "final")
    }
    return [max(0.0, each["at"] - had[each["key"]]) for each in seen if each["key"] in had]


def _figures(rounds: list[dict[str, Any]]) -> dict[str, Figure]:
    alone, watched = ([each for each in rounds if bool(each["viewers"]) is there] for there in (False, True))
    cpu = [sum(each["front_cpu_s"] for each in some) / len(some) for some in (alone, watched)]
    late = [_ms([s for each in some for s in each["late_s"]], 99) for some in (alone, watched)]
    captions = [s for each in watched for s in each["caption_s"]]
    return {
        "front's CPU, alone": Figure(round(cpu[0], 2), "s"),
        "front's CPU, watched": Figure(round(cpu[1], 2), "s"),
        "front's CPU, watched to alone": Figure(round(cpu[1] / cpu[0], 3), at_most=MOST_CPU),
        "trigger to final p99, alone": Figure(late[0], "ms"),
        "trigger to final p99, watched": Figure(late[1], "ms"),
        "trigger to final p99, watched to alone": Figure(round(late[1] / late[0], 3), at_most=MOST_P99),
        "caption at a page p50": Figure(_ms(captions, 50), "ms"),
        "caption at a page p95": Figure(_ms(captions, 95), "ms", at_most=MOST_CAPTION_MS),
    }


def _ms(seconds: list[float], percentile: float) -> float:
    return round(float(np.percentile(seconds, percentile)) * 1000, 1)


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--seconds", type=float, default=SECONDS, help="of each round")
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--viewers", type=int, default=VIEWERS)
    options.add_argument("--view", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options.add_argument("--json", type=Path, metavar="OUT", help="where the figures go, too")
    return options


if __name__ == "__main__":
    event_loop.run(main())
