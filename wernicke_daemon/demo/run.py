"""`run_daemon.py --demo`: a bundled clip, sent to the daemon as the Mac does, and the figures.

In Japanese with the extra `base`; else in English, which the embedded engines know."""

from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import httpx
import msgspec
import numpy as np
from msgspec.structs import replace
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from ipc import clock, event_loop
from ipc.errors import WernickeError
from wernicke_daemon.client import Client, ParsedMessage, exchange, problem
from wernicke_daemon.config.load import overrides
from wernicke_daemon.config.schema import Config, RaySettings, RayStages
from wernicke_daemon.demo import CLIP, JAPANESE_CLIP, JAPANESE_REFERENCE, REFERENCE
from wernicke_daemon.evaluation.scoring import Score, Spoken, Unit, score, unit_of
from wernicke_daemon.formats.audio_files import Chunk, reading, stream
from wernicke_daemon.formats.finals import Finals
from wernicke_daemon.formats.subtitles import cues
from wernicke_daemon.hardware.profiles import applied
from wernicke_daemon.models import bundled, presence
from wernicke_daemon.observability.console import Aside
from wernicke_daemon.observability.pages import StageFigures, Stats
from wernicke_daemon.wire.audio import AudioFormat

_MAC = AudioFormat(48_000, channels=2, encoding="f32le")
"""What the Mac client sends."""

_CHUNK_S = 0.04
_PLAIN_EVERY_S = 5.0
"""How often progress is told where there is no terminal to draw a bar on."""


_ON_RAY = RayStages(asr=2, diarization=1)


class Show(NamedTuple):
    """What is played. engines: in words."""

    language: str
    clip: Path
    reference: Path
    engines: str


ENGLISH = Show("en", CLIP, REFERENCE, "embedded engines, English, no correction")
JAPANESE = Show("ja", JAPANESE_CLIP, JAPANESE_REFERENCE, "Whisper base, Japanese, no correction")


class ReferenceTurn(msgspec.Struct, frozen=True):
    """What one voice says in the clip, with when, in seconds."""

    start: float
    end: float
    speaker: str
    text: str


class Reference(msgspec.Struct, frozen=True):
    duration: float
    turns: tuple[ReferenceTurn, ...]


@dataclass
class Run:
    """What came of the clip. finals: with the speakers as they are known at its end. arrived: clock reading of each.
    sent: clock reading at which each chunk of _CHUNK_S was handed to the socket. Clock readings are of
    `clock.monotonic()`, in seconds."""

    sent: list[float] = field(default_factory=list)
    finals: list[ParsedMessage] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def demo(ray: str | None = None) -> int:
    """Returns 0 if every utterance of the clip came back, else 1. Blocks for about the length of the clip. ray: address
    of a Ray cluster that recognises and diarizes; None where this machine does."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    show = JAPANESE if bundled.is_installed() else ENGLISH
    reference = msgspec.json.decode(show.reference.read_bytes(), type=Reference)
    try:
        console.print(f"Demo: {show.engines}; nothing is downloaded.")
        run, stats = event_loop.run(_demo(show, _config(show, ray), reference, console))
    except WernickeError as error:
        console.print(f"error: {error}")
        return 1
    missing = [*run.problems, *unheard(reference, run.finals)]
    for line in summary(reference, run, stats.stages, unit_of(show.language)):
        console.print(line)
    for sentence in missing:
        console.print(f"error: {sentence}")
    return 1 if missing else 0


async def _demo(show: Show, config: Config, reference: Reference, console: Console) -> tuple[Run, Stats]:
    from wernicke_daemon.daemon import running

    presence.put_together(config)
    with Display(console) as display:
        async with running(config, display.doing) as daemon:
            run = await _play(show, reference, config, daemon.port, display)
            return run, await _stats(daemon.port)


def _config(show: Show, ray: str | None) -> Config:
    """The defaults, not the user's file: the demo must run anywhere and disturb nothing."""
    config = applied(overrides(Config(), host="127.0.0.1", port=0), "embedded" if show is ENGLISH else "cpu")
    config = replace(
        config,
        correction=replace(config.correction, engine="none"),
        logging=replace(config.logging, console=False),
        runtime=replace(config.runtime, data_dir=str(Path(config.runtime.data_dir).resolve())),
    )
    if ray is not None:
        config = replace(config, ray=RaySettings(address=ray, stages=_ON_RAY))
    return config if show is ENGLISH else presence.with_stand_in(config)


async def _play(show: Show, reference: Reference, config: Config, port: int, display: "Display") -> Run:
    from wernicke_daemon.gateway.http_request import SESSIONS

    run, named = Run(), Finals()

    def receive(message: ParsedMessage) -> None:
        named.take(message)
        if message.get("type") == "final":
            run.finals.append(message)
            run.arrived.append(clock.monotonic())
            for cue in cues([message]):
                display.line(cue.line)
        elif sentence := problem(message):
            run.problems.append(sentence)

    url = f"ws://127.0.0.1:{port}{SESSIONS}"
    async with Client(url, language=show.language, audio=_MAC, events=("speaker",)) as client:
        await exchange(
            client, _sent(_clip(show.clip, reference, config.vad.silence_s), run, display, reference), receive
        )
    run.finals = named.all
    return run


async def _clip(clip: Path, reference: Reference, silence_s: float) -> AsyncIterator[Chunk]:
    """The clip, and silence behind it until its last utterance ends by itself like the others."""
    async with reading(clip, _MAC.sample_rate) as audio:
        async for mono in audio.chunks(_CHUNK_S):
            yield np.stack([mono] * _MAC.channels, axis=1)
    still = silence_s + 0.5 - (reference.duration - reference.turns[-1].end)
    for _ in range(round(still / _CHUNK_S)):
        yield np.zeros((round(_MAC.sample_rate * _CHUNK_S), _MAC.channels), dtype=np.float32)


async def _sent(
    chunks: AsyncIterable[Chunk], run: Run, display: "Display", reference: Reference
) -> AsyncIterator[bytes]:
    async for chunk in stream(chunks, _MAC.sample_rate, realtime=True):
        run.sent.append(clock.monotonic())
        display.played(min(len(run.sent) * _CHUNK_S, reference.duration), reference.duration)
        yield chunk


async def _stats(port: int) -> Stats:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{port}/stats")
    return msgspec.json.decode(answer.raise_for_status().content, type=Stats)


class Display:
    """Progress as a bar on a terminal, elsewhere as a plain line every few seconds; results between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._plain = not console.is_terminal
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            console=console,
            transient=True,
            disable=self._plain,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._told_s = 0.0
        self._aside = Aside(lambda lines: console.print(f"({lines} lines were left out)"))

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._aside.close()
        self._bar.stop()

    def doing(self, what: str) -> None:
        self._bar.update(self._task, description=what)
        if self._plain:
            self.line(what)

    def played(self, seconds: float, total: float) -> None:
        told = f"clip {seconds:.0f} of {total:.0f} s"
        self._bar.update(self._task, description=told, completed=seconds, total=total)
        if self._plain and seconds >= self._told_s + _PLAIN_EVERY_S:
            self._told_s = seconds
            self.line(f"... {told}")

    def line(self, text: str) -> None:
        """From another thread: the daemon is on the event loop, and a console may take nothing."""
        self._aside.post(partial(self._console.print, text))


def unheard(reference: Reference, finals: list[ParsedMessage]) -> list[str]:
    """A sentence for each turn of the clip that no result covers."""
    ranges = [(final["timestamp_range"]["start"], final["timestamp_range"]["end"]) for final in finals]
    return [
        f"Nothing came back for {turn.start:.1f} to {turn.end:.1f} s of the clip."
        for turn in reference.turns
        if not any(start < turn.end and turn.start < end for start, end in ranges)
    ]


def delays(reference: Reference, run: Run) -> list[float]:
    """Seconds from when the last speech of each utterance was sent to when its final was there.

    The end of speech is taken from the reference, not from where the daemon heard it end.
    """
    found = []
    for final, arrived in zip(run.finals, run.arrived, strict=True):
        end = final["timestamp_range"]["end"]
        spoken = [min(turn.end, end) for turn in reference.turns if turn.start < end]
        if spoken and run.sent:
            chunk = min(int(max(spoken) / _CHUNK_S), len(run.sent) - 1)
            found.append(arrived - run.sent[chunk])
    return found


def compared(reference: Reference, finals: list[ParsedMessage], unit: Unit) -> Score:
    said = [Spoken(turn.speaker, turn.text) for turn in reference.turns]
    return score(said, [Spoken(cue.speaker, cue.text) for cue in cues(finals)], unit)


def summary(reference: Reference, run: Run, stages: Mapping[str, StageFigures], unit: Unit) -> Iterator[str]:
    """The lines after the last result. stages: of GET /stats."""
    result = compared(reference, run.finals, unit)
    yield ""
    yield f"utterances           {len(run.finals)}"
    yield f"speech end → result  {_seconds(delays(reference, run))} (the silence that ends an utterance included)"
    yield f"trigger → sent       {_seconds([final['latency_ms'] / 1000 for final in run.finals])}"
    for name, stage in stages.items():
        yield f"{name:<20} {_stage(stage)}"
    yield f"{f'{unit} error rate':<20} {result.error_rate:.1%} of {result.units} {unit}s"
    yield f"speaker errors       {result.speaker_errors} of {result.compared} recognised {unit}s"
    yield f"speakers             {', '.join(f'{label} is {voice}' for label, voice in result.labels.items()) or 'none'}"


def _seconds(values: list[float]) -> str:
    return f"p50 {median(values):.2f} s, max {max(values):.2f} s" if values else "none"


def _stage(stage: StageFigures) -> str:
    nodes = sorted({replica.node for replica in stage.replicas if replica.node})
    where = f", on {' and '.join(nodes)}" if nodes else ""
    return f"run p50 {_ms(stage.run_ms.p50)}, queued p50 {_ms(stage.queued_ms.p50)}{where}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
