"""Fixtures that several files here share."""

from collections.abc import Iterator

import pytest

from tests.ollama_server import OllamaServer
from tests.process.correction_ollama.engine import KANA, KANJI


@pytest.fixture
def server() -> Iterator[OllamaServer]:
    with OllamaServer(corrections={KANA: KANJI}) as running:
        yield running
