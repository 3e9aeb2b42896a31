"""docs/compatibility.md speaks of every field that the clients themselves have."""

import inspect
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text(encoding="utf-8")

LEFT_OUT = {"entities", "diarize_info", "logprobs", "languages", "usage"}
"""What they consist of needs no row."""

NOT_SENT = {"self", "authorization", "request_options", "extra_headers", "extra_query", "extra_body", "timeout"}
"""Parameters that are about the request itself."""


def named(section: str) -> set[str]:
    """All that stands there as code."""
    text = TEXT.partition(f"\n## {section}")[2].partition("\n## ")[0]
    words = {word for code in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"[\w.]+", code)}
    return words | {part for word in words for part in word.split(".")}


def parameters(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters) - NOT_SENT


def fields(model: Any) -> Iterator[str]:
    """Of a model, and of those in it."""
    for name, field in model.model_fields.items():
        yield name
        for inner in _models(field.annotation) if name not in LEFT_OUT else ():
            yield from fields(inner)


def _models(annotation: Any) -> Iterator[Any]:
    if hasattr(annotation, "model_fields"):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models(part)


def test_of_deepgrams_client() -> None:
    client = pytest.importorskip("deepgram.listen.v1.client")
    types = pytest.importorskip("deepgram.listen.v1.types")
    known = named("Deepgram, live")
    assert parameters(client.AsyncV1Client.connect) <= known
    messages = [getattr(types, name) for name in dir(types) if name.startswith("ListenV1")]
    kinds = {kind for model in messages for kind in _kinds(model)}
    assert {"Results", "Finalize", "Metadata"} < kinds <= known
    assert set(fields(types.ListenV1Results)) <= known


def _kinds(model: Any) -> Iterator[str]:
    """What its `type` says."""
    field = getattr(model, "model_fields", {}).get("type")
    return _literals(field.annotation) if field is not None else iter(())


def _literals(annotation: Any) -> Iterator[str]:
    for part in typing.get_args(annotation):
        if isinstance(part, str):
            yield part
        yield from _literals(part)


def test_of_openais_client() -> None:
    client = pytest.importorskip("openai.resources.audio.transcriptions")
    types = pytest.importorskip("openai.types.audio")
    known = named("OpenAI, files")
    assert parameters(client.AsyncTranscriptions.create) <= known
    wanted = re.compile(r"Transcription(Verbose|Diarized|Text.*Event)?$")
    answers = [getattr(types, name) for name in dir(types) if wanted.match(name)]
    assert len(answers) > 4
    assert {name for model in answers for name in fields(model)} <= known
