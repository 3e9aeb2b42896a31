"""What the language model is asked for a summary and what it must answer; no I/O.

Lines travel as JSON: speech that sounds like an instruction stays a value in a data structure.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, TypeVar, get_args

import msgspec

from ipc.settings import Text
from ipc.summary import Kind, Line, Sentence
from stages.correction.request import ChatMessage, InvalidAnswer

T = TypeVar("T")

_QUOTED = re.compile("'.*'", re.DOTALL)

MOST_SENTENCES = 10
"""Of one part."""
MOST_LINES = 4
"""That a sentence may name: in many lines there is nearly every word."""
ANSWER_TOKENS = 900
"""Of one answer: for so many sentences, and the JSON around them. It bounds how long one request takes."""


class SummaryPrompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """summarize: what the model is told about lines. merge: about sentences of several parts."""

    summarize: Text
    merge: Text


class Repeated(msgspec.Struct, frozen=True):
    """sentence: number of one that says nothing beside another one. by: number of that."""

    sentence: int
    by: int


class _Sentences(msgspec.Struct, frozen=True):
    sentences: list[Sentence]


class _AllRepeated(msgspec.Struct, frozen=True):
    repeated: list[Repeated]


def about_lines(prompt: SummaryPrompt, lines: Sequence[Line], shown: range) -> list[ChatMessage]:
    """shown: numbers of those to be summarized."""
    body = {"lines": [line_text(number, lines[number - 1]) for number in shown]}
    return _chat(prompt.summarize, body)


def line_text(number: int, line: Line) -> str:
    return f"{number} {line.speaker or '?'}: {line.text}"


def about_sentences(prompt: SummaryPrompt, sentences: Sequence[Sentence]) -> list[ChatMessage]:
    """They are numbered from 1."""
    body = {"sentences": [sentence_text(number, sentence) for number, sentence in enumerate(sentences, 1)]}
    return _chat(prompt.merge, body)


def sentence_text(number: int, sentence: Sentence) -> str:
    return f"{number} {sentence.kind}: {sentence.text}"


def sentences_format() -> dict[str, Any]:
    """JSON schema of an answer about lines. What a sentence stands on comes first: the model then writes from that."""
    text = {"type": "string"}
    sentence = {
        "type": "object",
        "properties": {
            "lines": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": MOST_LINES},
            "kind": {"type": "string", "enum": list(get_args(Kind))},
            "text": text,
            "who": text,
            "until": text,
        },
        "required": ["lines", "kind", "text", "who", "until"],
    }
    return _object("sentences", {"type": "array", "items": sentence, "maxItems": MOST_SENTENCES})


def repeated_format(count: int) -> dict[str, Any]:
    """JSON schema of an answer about so many sentences."""
    numbers = {"sentence": {"type": "integer"}, "by": {"type": "integer"}}
    pair = {"type": "object", "properties": numbers, "required": list(numbers)}
    return _object("repeated", {"type": "array", "items": pair, "maxItems": count})


def read_sentences(content: str) -> list[Sentence]:
    """Raises InvalidAnswer."""
    return _read(content, _Sentences).sentences


def read_repeated(content: str) -> list[Repeated]:
    """Raises InvalidAnswer."""
    return _read(content, _AllRepeated).repeated


def _read(content: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        why = _QUOTED.sub("'…'", str(error))  # what was said is not for a log
        raise InvalidAnswer(f"the answer is not the JSON that was asked for: {why}") from None


def _chat(system: str, body: dict[str, Any]) -> list[ChatMessage]:
    asked = json.dumps(body, ensure_ascii=False)
    return [{"role": "system", "content": system.strip()}, {"role": "user", "content": asked}]


def _object(name: str, inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: inner}, "required": [name]}
