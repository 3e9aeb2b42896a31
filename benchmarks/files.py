"""What files cost a live session: its finals and first texts alone, and beside ten files that are sent at once.

One daemon with engines that only take time, as long as on an RTX 3090, and its web process. A conversation is streamed
in real time, in turns alone and with FILES sent to `/v1/audio/transcriptions` at the same moment, ROUNDS times, so that
what else the machine does falls on both alike. The same is said every time. What of the files is not done when the
conversation is over is called off. At last one file has the daemon to itself.
"""

import argparse
import asyncio
import contextlib
import io
import sys
import time
import wave
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import engine_times, report, served
from benchmarks.conversation import Listener, Talk, generated
from benchmarks.latency import CARD, CHUNK_S, VAD
from benchmarks.report import Figure
from benchmarks.served import Served
from benchmarks.timeliness import Timed, percentiles, timed
from ipc import event_loop
from ipc.audio_handle import SAMPLE_RATE
from wernicke_daemon.client import MONO_16K
from wernicke_daemon.config.schema import Config, WebSettings
from wernicke_daemon.web_launch import free_port

FILES = 10
FILE_S = 120.0
ROUNDS = 3
SECONDS = 70.0
MOST = 1.10
SOMETHING = 0.01
"""Seconds of files done in a second: where that is nothing, nobody was beside anything."""

ANSWERED_S = 30.0
"""For the web process to answer at all."""


async def main() -> None:
    args = _options().parse_args()
    port = free_port("127.0.0.1")
    config = Config(max_connections=2, vad=VAD, web=WebSettings(port=port))
    plan = replace(engine_times.plan_of(config, engine_times.chosen(args)), pages=True)
    with report.workplace() as directory:
        async with served.serving([plan], directory) as [daemon]:
            found = await _measured(daemon, f"http://127.0.0.1:{port}", args)
    figures = _figures(found, args.seconds * args.rounds)
    report.show("Files", ("", "measured", "wanted", ""), ((name, *figure.cells) for name, figure in figures.items()))
    report.save(args.json, {name: figure.value for name, figure in figures.items()} | {"times_ms": CARD.as_dict()})


async def _measured(daemon: Served, address: str, args: argparse.Namespace) -> dict[str, Any]:
    """Utterances of the live session, alone and beside files, and what became of the files meanwhile."""
    talk = generated(1, args.seconds, (VAD.phrase_pause_s, VAD.silence_s))
    files = [_wav(generated(100 + number, FILE_S, ())) for number in range(FILES)]
    alone, beside, answers, done_s = list[Timed](), list[Timed](), list[int](), 0.0
    async with httpx.AsyncClient(base_url=address, timeout=None, trust_env=False) as client:
        await _answers(client)
        for number in range(args.rounds):
            for some, sent in ((alone, []), (beside, files)):
                print(f"round {number + 1}, {len(sent)} files ...", file=sys.stderr, flush=True)
                before = _done_s(daemon)
                async with _sending(client, sent, answers):
                    listener = Listener(talk, MONO_16K, CHUNK_S)
                    await listener.run(daemon.url)
                mine = timed(talk, listener.heard, VAD)
                some += mine
                done_s += (_done_s(daemon) - before - sum(each.audio_s for each in mine)) if sent else 0.0
                await _quiet(client, daemon.stats)
        print("a file alone ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        async with asyncio.timeout(FILE_S):
            (await _send(client, files[0])).raise_for_status()
        took_s = time.monotonic() - began
    return {"alone": alone, "beside": beside, "done_s": done_s, "answers": answers, "took_s": took_s}


def _done_s(daemon: Served) -> float:
    """Seconds of audio in all utterances so far."""
    return sum(float(event["audio_s"]) for event in daemon.events("utterance"))


async def _send(client: httpx.AsyncClient, file: bytes) -> httpx.Response:
    parts = {"file": ("talk.wav", file)}
    return await client.post("/v1/audio/transcriptions", files=parts, data={"model": "any", "language": "en"})


@contextlib.asynccontextmanager
async def _sending(client: httpx.AsyncClient, files: Iterable[bytes], answers: list[int]) -> AsyncIterator[None]:
    """All at once. answers: gets the HTTP status of each that is done before the end, 0 where the line broke."""

    async def send(file: bytes) -> None:
        try:
            answers.append((await _send(client, file)).status_code)
        except httpx.HTTPError:
            answers.append(0)

    tasks = [asyncio.create_task(send(file)) for file in files]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answers(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(ANSWERED_S):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                await client.get("/v1/models")
                return
            await asyncio.sleep(0.1)


async def _quiet(client: httpx.AsyncClient, stats: str) -> None:
    """What was taken in of files that were called off has been worked on."""
    while (await client.get(stats)).json()["sessions"]:  # noqa: ASYNC110 - it is another process
        await asyncio.sleep(0.2)


def _wav(talk: Talk) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes((talk.samples * 32_767).astype("<i2").tobytes())
    return made.getvalue()


def _figures(found: dict[str, Any], seconds: float) -> dict[str, Figure]:
    figures = {"utterances": Figure(len(found["beside"]))}
    for name, of in (("trigger to final", _finals), ("first text", _first_texts)):
        alone, beside = (percentiles(of(found[which])) for which in ("alone", "beside"))
        for share in ("p50", "p95"):
            figures[f"{name} {share}, alone"] = Figure(alone[share], "s")
            figures[f"{name} {share}, beside files"] = Figure(beside[share], "s")
            figures[f"{name} {share}, beside to alone"] = Figure(round(beside[share] / alone[share], 3), at_most=MOST)
    done = round(found["done_s"] / seconds, 2)
    figures["audio of files done in a second, beside it"] = Figure(done, "s", at_least=SOMETHING)
    figures["audio of a file done in a second, alone"] = Figure(round(FILE_S / found["took_s"], 2), "s")
    failed = sum(status != 200 for status in found["answers"])
    figures["files that were answered with an error, or not at all"] = Figure(failed, at_most=0)
    return figures


def _finals(utterances: list[Timed]) -> list[float]:
    return [each.after_trigger_s for each in utterances if each.trigger == "silence"]


def _first_texts(utterances: list[Timed]) -> list[float]:
    return [each.first_text_s for each in utterances]


def _options() -> argparse.ArgumentParser:
    options = report.parser("What ten files at once cost a live session.")
    options.add_argument("--seconds", type=float, default=SECONDS, help="of each round")
    options.add_argument("--rounds", type=int, default=ROUNDS)
    engine_times.add_options(options, CARD)
    return options


if __name__ == "__main__":
    event_loop.run(main())
