"""What is said between those who want a summary and the process that makes it (`stages/summary`): one `Work` on its
stdin, then messages on its stdout, JSON, a line each."""

from typing import Literal

import msgspec

from ipc.settings import LlmSettings

Kind = Literal["decision", "open", "task"]
"""What was decided, what is open, who does what until when."""


class Line(msgspec.Struct, frozen=True):
    """Of a transcript. Lines are numbered from 1."""

    speaker: str | None
    text: str


class Sentence(msgspec.Struct, frozen=True):
    """One statement of a summary. lines: numbers of those that it stands on. who, until: of a task; "" where that was
    not said."""

    kind: Kind
    text: str
    lines: tuple[int, ...]
    who: str = ""
    until: str = ""


class Part(msgspec.Struct, frozen=True):
    """What was found in one part of the lines. dropped: sentences that did not stand in the lines they named."""

    sentences: tuple[Sentence, ...]
    dropped: int


class Work(msgspec.Struct, frozen=True):
    """language: of the lines, ISO 639-1 or "". prompts: see `summary.prompts`. done: parts that an earlier process has
    finished, in order. parent_pid: of the process that asks, with which this one ends."""

    lines: tuple[Line, ...]
    language: str
    llm: LlmSettings
    prompts: str
    done: tuple[Part, ...]
    parent_pid: int


class Loading(msgspec.Struct, frozen=True, tag="loading"):
    """The model is brought into the server's memory, where it is not there already."""


class Reading(msgspec.Struct, frozen=True, tag="reading"):
    """Parts of the lines are gone through: so many of so many are done."""

    done: int
    of: int


class PartDone(msgspec.Struct, frozen=True, tag="part"):
    part: Part


class Merging(msgspec.Struct, frozen=True, tag="merging"):
    """What several parts say is put together."""


class Made(msgspec.Struct, frozen=True, tag="made"):
    """All of it. dropped: as in Part, of all parts."""

    sentences: tuple[Sentence, ...]
    dropped: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """reason: a sentence with the way out."""

    reason: str


Message = Loading | Reading | PartDone | Merging | Made | Failed
