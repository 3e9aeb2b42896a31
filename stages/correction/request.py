"""What the LLM is asked and what it must answer; no I/O.

Texts travel as JSON in both directions. Speech that sounds like an instruction then stays a value in a data
structure, and the server's structured output can hold the model to exactly one answer per text.
"""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from stages.correction.prompt_files import CorrectionPrompt, Example

ChatMessage = dict[str, str]
Texts = Sequence[str]


class Correction(msgspec.Struct, frozen=True):
    index: int
    text: str


class Answer(msgspec.Struct, frozen=True):
    segments: list[Correction]


class InvalidAnswer(ValueError):
    """The LLM answered something else than what was asked for. The message quotes nothing of it."""


def messages(prompt: CorrectionPrompt, texts: Texts, glossary: Texts = (), context: Texts = ()) -> list[ChatMessage]:
    """The chat that asks for corrections of `texts`. context: oldest first.

    System prompt and examples come first and never change within a language: the server then reuses what it
    has computed for them.
    """
    shown = [message for example in prompt.examples for message in _shown(example)]
    return [{"role": "system", "content": prompt.system.strip()}, *shown, _request(texts, glossary, context)]


def answer_format(count: int) -> dict[str, Any]:
    """JSON schema of an answer to `count` texts."""
    segment = {
        "type": "object",
        "properties": {"index": {"type": "integer", "enum": list(range(count))}, "text": {"type": "string"}},
        "required": ["index", "text"],
    }
    segments = {"type": "array", "items": segment, "minItems": count, "maxItems": count}
    return {"type": "object", "properties": {"segments": segments}, "required": ["segments"]}


def read_answer(content: str, count: int) -> list[str]:
    """The corrected texts in order. Raises InvalidAnswer unless there is exactly one for each."""
    try:
        segments = msgspec.json.decode(content, type=Answer).segments
    except msgspec.DecodeError as error:
        raise InvalidAnswer(f"the answer is not the JSON that was asked for: {error}") from error
    if sorted(segment.index for segment in segments) != list(range(count)):
        raise InvalidAnswer(f"{len(segments)} segments came back for {count}, or wrongly numbered")
    return [segment.text for segment in sorted(segments, key=lambda segment: segment.index)]


def _shown(example: Example) -> tuple[ChatMessage, ChatMessage]:
    answer = json.dumps({"segments": _numbered(example.corrected)}, ensure_ascii=False)
    return _request(example.heard, example.glossary, example.context), {"role": "assistant", "content": answer}


def _request(texts: Texts, glossary: Texts, context: Texts) -> ChatMessage:
    body = {"context": list(context), "glossary": list(glossary), "segments": _numbered(texts)}
    return {"role": "user", "content": json.dumps(body, ensure_ascii=False)}


def _numbered(texts: Texts) -> list[dict[str, Any]]:
    return [{"index": index, "text": text} for index, text in enumerate(texts)]
