"""What do good clients feel of a bad one? Their latency beside it, as a multiple of their latency without, in one run.

    python benchmarks/bad_clients.py [--seconds 6] [--kind KIND] [--json FILE]

The whole daemon is this process; Silero listens, the later stages only take a time. Two good clients speak without end
from a process of their own, and measure from `flush` to final. The bad ones of `tests.misbehaviour`, two of each kind,
come from another process, one kind after the other, each phase after one without any, to which it is compared.
On a small machine part of the effect is the bad clients' own use of the CPU, which the daemon has no say in. The
longest wait for a turn of the daemon's event loop, which holds up everybody, shows more of the daemon's own part.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import report
from benchmarks.program import Program
from ipc import event_loop
from tests import misbehaviour, wire
from tests.misbehaviour import FLOODS, Misbehaviour
from wernicke_daemon.config.load import overrides
from wernicke_daemon.config.schema import Config, stage_settings
from wernicke_daemon.daemon import running
from wernicke_daemon.hardware.profiles import applied

GOOD_CLIENTS, BAD_CLIENTS = 2, 2
TIMES = {"asr": 20.0, "diarization": 10.0, "correction": 10.0}
"""Milliseconds that the later stages take for an utterance."""

KINDS: dict[str, Misbehaviour] = {
    "never reads": misbehaviour.never_reads,
    **{f"flood of {name}": misbehaviour.flood(frame) for name, frame in FLOODS.items()},
    "one byte at a time": misbehaviour.byte_by_byte,
    "handshake and silence": misbehaviour.half_open(misbehaviour.CONNECTED),
    "frames too large": misbehaviour.refused_with(1009, bytes((16 << 20) + 1)),
    "nonsense and NaN": misbehaviour.nonsense,
    "no WebSocket at all": misbehaviour.noise_on_the_line,
    "1000 connections at once": misbehaviour.connects(1000, per_second=1e6),
}

TURN_EVERY_S = 0.002

Latency = tuple[float, float]
"""When its `flush` was sent, in seconds since 1970, and milliseconds until the final; or when a turn of the event
loop came, and for how many milliseconds it was late."""


async def measure(kinds: list[str], seconds: float, directory: Path) -> dict[str, Any]:
    """By kind: latency without and with, and their ratios."""
    config = applied(overrides(Config(), host="127.0.0.1", port=0), "embedded")
    config = replace(
        config,
        logging=replace(config.logging, console=False),
        runtime=replace(config.runtime, data_dir=str(directory)),
    )
    settings = replace(stage_settings(config), sleep_ms=TIMES)
    async with running(config, lambda line: None, settings) as daemon:
        waits: list[Latency] = []
        watch = asyncio.create_task(_watch_turns(waits))
        good = Program(__file__, "--good", str(daemon.port))
        await good.line()
        phases = {kind: await _phase(kind, daemon.port, seconds) for kind in kinds}
        good.end()
        said = await good.rest()
        watch.cancel()
    latencies: list[Latency] = [tuple(json.loads(line)) for line in said.splitlines() if line.endswith(b"]")]
    return {kind: _compared(latencies, waits, *phase) for kind, phase in phases.items()}


async def _watch_turns(waits: list[Latency]) -> None:
    """How much later than asked for a turn of the event loop comes."""
    while True:
        due = time.monotonic() + TURN_EVERY_S
        await asyncio.sleep(TURN_EVERY_S)
        waits.append((time.time(), (time.monotonic() - due) * 1000))


async def _phase(kind: str, port: int, seconds: float) -> tuple[float, float, float]:
    """When it was quiet from, when the bad ones came, and when it was over."""
    print(f"{kind} ...", file=sys.stderr, flush=True)
    quiet = time.time()
    await asyncio.sleep(seconds)
    bad = Program(__file__, "--bad", str(port), "--kind", kind, "--seconds", str(seconds))
    await bad.line()
    began = time.time()
    await asyncio.sleep(seconds)
    over = time.time()
    await bad.rest()
    await asyncio.sleep(1.0)
    return quiet, began, over


def _compared(
    latencies: list[Latency], waits: list[Latency], quiet: float, began: float, over: float
) -> dict[str, Any]:
    alone, together = (quiet, quiet + (over - began)), (began, over)
    without, beside = (_percentiles(_within(latencies, *phase)) for phase in (alone, together))
    ratios = {f"{name}_ratio": round(beside[name] / without[name], 2) for name in ("p50", "p95")}
    longest = {
        f"longest_wait_{name}_ms": round(max(_within(waits, *phase)), 1)
        for name, phase in (("without", alone), ("beside", together))
    }
    return {"without_ms": without, "beside_ms": beside, **ratios, **longest}


def _within(values: list[Latency], begin: float, end: float) -> list[float]:
    return [ms for at, ms in values if begin <= at < end]


def _percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        sys.exit("error: the good clients got no result in a whole phase")
    p50, p95 = np.percentile(values, (50, 95))
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1), "count": len(values)}


# --- the clients, in processes of their own --------------------------------------------------------


async def be_good(port: int) -> None:
    """Prints a line when the first result is there, and then one for each: a Latency. Until terminated."""
    await asyncio.gather(*(_speak(port) for _ in range(GOOD_CLIENTS)))


async def _speak(port: int) -> None:
    speech = wire.turn(5).astype("<f4").tobytes()
    async with wire.open_socket(port, wire.MONO) as client:
        while True:
            await client.send(speech)
            await asyncio.sleep(0.1)
            at, asked = time.time(), time.monotonic()
            await client.send('{"type": "flush"}')
            await wire.until(client, "final")
            print(json.dumps((at, (time.monotonic() - asked) * 1000)), flush=True)


async def be_bad(port: int, kind: str, seconds: float) -> None:
    """Prints a line when it begins."""
    over = asyncio.Event()
    bad = [asyncio.create_task(KINDS[kind](port, over)) for _ in range(BAD_CLIENTS)]
    print("begun", flush=True)
    await asyncio.sleep(seconds)
    over.set()
    _, late = await asyncio.wait(bad, timeout=1.0)
    for one in late:
        one.cancel()
    await asyncio.gather(*bad, return_exceptions=True)  # how they end is a matter of the tests


# --- all -------------------------------------------------------------------------------------------


def row(kind: str, found: dict[str, Any]) -> tuple[str, ...]:
    without, beside = found["without_ms"], found["beside_ms"]
    times = (f"{each['p50']:.0f} / {each['p95']:.0f}" for each in (without, beside))
    longest = f"{found['longest_wait_without_ms']:.0f} / {found['longest_wait_beside_ms']:.0f}"
    return (kind, *times, f"{found['p50_ratio']:.2f}", f"{found['p95_ratio']:.2f}", longest)


def main() -> None:
    args = _options().parse_args()
    if args.good:
        event_loop.run(be_good(args.good))
    elif args.bad:
        event_loop.run(be_bad(args.bad, args.kind, args.seconds))
    else:
        with report.workplace() as directory:
            found = event_loop.run(measure([args.kind] if args.kind else list(KINDS), args.seconds, directory))
        columns = ("bad clients", "alone ms", "beside ms", "p50 ratio", "p95 ratio", "longest wait ms")
        report.show(
            "Latency of good clients beside bad ones, p50 / p95", columns, (row(*each) for each in found.items())
        )
        report.save(args.json, {"kinds": found, "seconds": args.seconds})


def _options() -> argparse.ArgumentParser:
    options = report.parser("Latency of good clients beside bad ones, as a ratio.")
    options.add_argument("--seconds", type=float, default=6.0, help="of each phase (default: %(default)g)")
    for name in ("--good", "--bad"):
        options.add_argument(name, type=int, metavar="PORT", help=argparse.SUPPRESS)
    options.add_argument("--kind", choices=list(KINDS), help="only this one")
    return options


if __name__ == "__main__":
    main()
