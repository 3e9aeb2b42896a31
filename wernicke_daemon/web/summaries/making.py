"""Summaries that are being made: one at a time, each a task beside the pages, behind live speech.

What a closed page or a cut line had asked for goes on. With the web process it ends, and is to be asked for again.
"""

import asyncio
import time
from typing import Literal

import msgspec
import structlog

from ipc import clock
from ipc.errors import WernickeError
from ipc.summary import Failed, Loading, Made, Merging, Message, Part, PartDone, Reading
from wernicke_daemon.records import reading, stored_summaries, transcript_file
from wernicke_daemon.records.reading import Transcript
from wernicke_daemon.summaries.making import NoSummary, summary_of, work_for
from wernicke_daemon.web.front import Front, FrontAway
from wernicke_daemon.web.setup import Setup
from wernicke_daemon.web.summaries.run import Run
from wernicke_daemon.web.summaries.way import LOOK_S, Quiet, is_busy

MOST = 20
"""Summaries that are made or waited for."""
MOST_PROBLEMS = 100
"""Failures that are remembered, the latest."""

_log = structlog.get_logger()


class Progress(msgspec.Struct, frozen=True):
    """step: what it does. "queued": another summary is made first; "speech": it waits until nothing is said; "loading":
    the model is loaded; "reading": parts of the transcript, done of so many; "merging": of these."""

    step: Literal["queued", "speech", "loading", "reading", "merging"]
    done: int = 0
    of: int = 0


class Summaries:
    """One for the process. Used on the event loop's thread."""

    def __init__(self, setup: Setup, front: Front) -> None:
        self._setup = setup
        self._front = front
        self._one = asyncio.Lock()  # held by the one that is made
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by first session
        self._progress: dict[str, Progress] = {}  # of those
        self._problems: dict[str, str] = {}  # why there is none, by first session; a sentence each

    def progress(self, session: str) -> Progress | None:
        """session: the first of a transcript. None where no summary of it is made."""
        return self._progress.get(session)

    def problem(self, session: str) -> str | None:
        """Why the last try failed, as a sentence."""
        return self._problems.get(session)

    def start(self, transcript: Transcript) -> None:
        """Once, however often that is asked. Raises NoSummary."""
        session = transcript.session
        work_for(transcript, self._setup.config)
        if session in self._tasks:
            return
        if len(self._tasks) >= MOST:
            raise NoSummary(f"{MOST} summaries are waited for already; try again when some of them are there.")
        self._problems.pop(session, None)
        self._progress[session] = Progress("queued")
        task = asyncio.create_task(self._make(transcript))
        self._tasks[session] = task
        task.add_done_callback(lambda _: self._forget(session))

    def cancel(self, session: str) -> None:
        """Nothing where none is made."""
        if (task := self._tasks.get(session)) is not None:
            task.cancel()

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, session: str) -> None:
        del self._tasks[session], self._progress[session]

    async def _make(self, transcript: Transcript) -> None:
        began = clock.monotonic()
        try:
            async with self._one:
                transcript, made = await self._made(transcript)
            await self._keep(transcript, made)
        except WernickeError as error:
            self._failed(transcript.session, str(error))
        except Exception:
            _log.exception("summary_broke", session=transcript.session)
            self._failed(transcript.session, "The summary could not be made; see the daemon's log.")
        else:
            seconds = round(clock.monotonic() - began, 1)
            statements, dropped = len(made.sentences), made.dropped
            _log.info(
                "summary_made", session=transcript.session, statements=statements, dropped=dropped, seconds=seconds
            )

    def _failed(self, session: str, why: str) -> None:
        _log.warning("summary_failed", session=session, reason=why)
        self._problems[session] = why
        while len(self._problems) > MOST_PROBLEMS:
            del self._problems[next(iter(self._problems))]

    async def _keep(self, transcript: Transcript, made: Made) -> None:
        """Raises NoTranscript."""
        summary = summary_of(transcript, made, self._setup.config.llm.model, time.time())
        await asyncio.to_thread(stored_summaries.keep, self._setup.transcripts, transcript, summary)

    async def _made(self, transcript: Transcript) -> tuple[Transcript, Made]:
        """And what it is of: all that was said before its first part. Gives way as often as something is said; parts
        that are done stay done. Raises NoSummary, NoTranscript, OSError."""
        done: list[Part] = []
        while True:
            await self._quiet(transcript.session)
            if not done:
                transcript = await asyncio.to_thread(self._read, transcript.session)
            outcome = await self._attempt(transcript, done)
            if isinstance(outcome, Failed):
                raise NoSummary(outcome.reason)
            if outcome is not None:
                return transcript, outcome

    def _read(self, session: str) -> Transcript:
        """Raises NoTranscript."""
        with transcript_file.reading(self._setup.transcripts) as database:
            return reading.transcript(database, session)

    async def _quiet(self, session: str) -> None:
        quiet = Quiet()
        while not quiet.look(await self._busy(), clock.monotonic()):
            self._progress[session] = Progress("speech")
            await asyncio.sleep(LOOK_S)

    async def _attempt(self, transcript: Transcript, done: list[Part]) -> Made | Failed | None:
        """None where it gave way. done: parts, to which it adds. Raises OSError."""
        outcome: list[Made | Failed] = []

        def told(message: Message) -> None:
            if run.killed:
                return
            self._told(transcript.session, message, done)
            if isinstance(message, Made | Failed):
                outcome.append(message)

        loop = asyncio.get_running_loop()
        work = work_for(transcript, self._setup.config, done)
        run = Run(work, lambda message: loop.call_soon_threadsafe(told, message))
        output = asyncio.create_task(asyncio.to_thread(run.read))
        try:
            while not (await asyncio.wait([output], timeout=LOOK_S))[0]:
                if await self._busy():
                    return None
            await output
        finally:
            run.kill()
            await asyncio.gather(output, return_exceptions=True)
        return outcome[0] if outcome else None

    def _told(self, session: str, message: Message, done: list[Part]) -> None:
        match message:
            case Loading():
                self._progress[session] = Progress("loading")
            case Reading(so_far, of):
                self._progress[session] = Progress("reading", so_far, of)
            case PartDone(part):
                done.append(part)
            case Merging():
                self._progress[session] = Progress("merging")

    async def _busy(self) -> bool:
        try:
            return is_busy(await self._front.page("/health"))
        except FrontAway:
            return True
