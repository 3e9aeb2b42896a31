"""A summary of a transcript as its process (`stages/summary`) is asked for it: what goes in, what comes out."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from ipc import boot_record
from ipc.errors import WernickeError
from ipc.summary import Failed, Line, Made, Message, Part, Sentence, Work
from wernicke_daemon.config.schema import Config
from wernicke_daemon.processes import process_tree
from wernicke_daemon.records.reading import Transcript, Turn
from wernicke_daemon.records.stored_summaries import Source, Statement, Summary, fingerprint
from wernicke_daemon.wire.protocol import utc_text

NO_MODEL = 'There is no language model for summaries: correction.engine is "none" in the daemon\'s settings.'
NO_TEXT = "Nothing was said in this transcript, so there is nothing to sum up."
DIED = "The process that makes the summary ended unexpectedly (exit code {code}); see the log, and try again."

_message: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


class NoSummary(WernickeError):
    """None can be made. The text is a sentence for people."""


def work_for(transcript: Transcript, config: Config, done: Sequence[Part] = ()) -> Work:
    """config: the settings in force. done: see `Work`. Raises NoSummary."""
    if config.correction.engine == "none":
        raise NoSummary(NO_MODEL)
    if not transcript.turns:
        raise NoSummary(NO_TEXT)
    lines = tuple(Line(turn.speaker, turn.text) for turn in transcript.turns)
    prompts = config.summary.prompts
    return Work(lines, transcript.language, config.llm, prompts, tuple(done), os.getpid())


def started() -> "subprocess.Popen[bytes]":
    """From the thread that reads what it says: Linux ends it with that thread. To be killed when it is not wanted any
    more, which ends what the model does for it. Raises OSError."""
    return subprocess.Popen(
        [process_tree.python(), "-m", "stages.summary"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=process_tree.environment(),
    )


def said(process: "subprocess.Popen[bytes]", work: Work) -> Iterator[Message]:
    """It is told its work, which may be more than a pipe holds; then what it says, to its end; the last one is Made or
    Failed."""
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(OSError), process.stdin as pipe:  # one that has ended already says so by its exit code
        pipe.write(boot_record.framed(msgspec.json.encode(work)))
    last: Message | None = None
    with process.stdout:
        for line in process.stdout:
            yield (last := _message.decode(line))
    code = process.wait()
    if not isinstance(last, Made | Failed):
        yield Failed(DIED.format(code=code))


def summary_of(transcript: Transcript, made: Made, model: str, now: float) -> Summary:
    """now: seconds since 1970."""
    return Summary(
        transcript.session,
        model,
        utc_text(now),
        fingerprint(transcript.turns),
        [_statement(sentence, transcript.turns) for sentence in made.sentences],
        made.dropped,
    )


def made_at(summary: Summary) -> datetime:
    """In the time of this machine."""
    return datetime.fromisoformat(summary.made).replace(tzinfo=UTC).astimezone()


def _statement(sentence: Sentence, turns: Sequence[Turn]) -> Statement:
    found = [turns[number - 1] for number in sentence.lines]
    places = {
        (turn.session, turn.sequence): Source(turn.session, turn.sequence, turn.start) for turn in reversed(found)
    }
    lines = sorted(places.values(), key=lambda source: source.start)
    return Statement(sentence.kind, sentence.text, sentence.who, sentence.until, lines)
