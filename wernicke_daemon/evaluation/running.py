"""Recordings through a daemon of its own, over its WebSocket, and what came back."""

import json
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from pathlib import Path

from msgspec.structs import replace

from ipc import clock
from ipc.errors import WernickeError
from wernicke_daemon.client import MONO_16K, Client, ParsedMessage, exchange, problem
from wernicke_daemon.config.load import overrides
from wernicke_daemon.config.schema import Config, SecuritySettings
from wernicke_daemon.evaluation.measures import Heard
from wernicke_daemon.formats.audio_files import reading, stream
from wernicke_daemon.formats.finals import Finals

CHUNK_S = 0.1
PATIENT_S = 3600.0
"""For what may be late: a file that comes at once waits for itself."""


class NotHeard(WernickeError):
    """The daemon lost a part of a recording: what it would amount to says nothing of the settings."""

    code = "INPUT_UNREADABLE"


async def played(
    config: Config,
    recordings: Sequence[Path],
    folder: Path,
    *,
    realtime: bool = False,
    language: str | None = None,
    told: Callable[[str], None] = lambda line: None,
) -> list[Heard]:
    """What the daemon makes of each recording, a session each, one after another. config: with its profile applied.
    folder: where it may write. language: None for that of the settings. told: what is being done.

    Raises WernickeError where it can't start, or a file can't be read, or a result is missing.
    """
    from wernicke_daemon.daemon import running

    own = of_its_own(config, folder, patient=not realtime)
    found = []
    async with running(own, told) as daemon:
        for number, recording in enumerate(recordings, start=1):
            told(f"{recording.name}, {number} of {len(recordings)}")
            found.append(await _play(daemon.port, recording, realtime, language))
    refused = _refused(own.log_path)
    return [replace_fields(heard, refused=refused[session]) for session, heard in found]


def of_its_own(config: Config, folder: Path, *, patient: bool) -> Config:
    """The settings for a daemon that disturbs nobody, with those alone kept that decide what it says. patient: nothing
    is left out for being late."""
    runtime = replace(config.runtime, data_dir=str(folder))
    correction, diarization = config.correction, config.diarization
    if patient:
        runtime = replace(runtime, shed_after_s=PATIENT_S)
        correction = replace(correction, deadline_s=PATIENT_S)
        diarization = replace(diarization, deadline_s=PATIENT_S)
    return replace(
        overrides(config, host="127.0.0.1", port=0),
        security=SecuritySettings(),
        logging=replace(config.logging, console=False, level="info"),
        runtime=runtime,
        correction=correction,
        diarization=diarization,
    )


@dataclass
class _Sending:
    """begun: clock reading (ipc.clock) when the first sample was handed over."""

    begun: float = 0.0
    samples: int = 0

    async def counted(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self.begun = self.begun or clock.monotonic()
            self.samples += len(chunk) // MONO_16K.frame_bytes
            yield chunk


async def _play(port: int, recording: Path, realtime: bool, language: str | None) -> tuple[str, Heard]:
    """The session's id, and what came."""
    from wernicke_daemon.gateway.http_request import SESSIONS

    finals, named = list[ParsedMessage](), Finals()
    arrived: list[float] = []
    lost: list[str] = []
    sending = _Sending()
    session = ""

    def receive(message: ParsedMessage) -> None:
        nonlocal session
        named.take(message)
        if message.get("type") == "connection_established":
            session = message["session_id"]
        elif message.get("type") == "final":
            finals.append(message)
            arrived.append(clock.monotonic())
        elif sentence := problem(message):
            lost.append(sentence)

    url = f"ws://127.0.0.1:{port}{SESSIONS}"
    async with (
        reading(recording, MONO_16K.sample_rate) as audio,
        Client(url, language=language, events=("speaker",)) as client,
    ):
        chunks = stream(audio.chunks(CHUNK_S), MONO_16K.sample_rate, realtime=realtime)
        await exchange(client, sending.counted(chunks), receive)
    if lost:
        raise NotHeard(f"{recording}: {lost[0]}")
    came = [at - sending.begun for at in arrived] if realtime else []
    return session, Heard(named.all, came, sending.samples / MONO_16K.sample_rate, at_first=finals)


def _refused(log: Path) -> Counter[str]:
    """Corrections turned down, by session: only the log says that."""
    refused: Counter[str] = Counter()
    for line in log.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event.get("event") == "utterance":
            refused[event["session"]] += event["corrections_refused"]
    return refused
