"""What is said on a console that takes nothing waits for it, and nobody else does."""

import contextlib
import io
import os
import threading
from collections.abc import Iterator

import pytest

from tests.waiting import eventually_sync
from wernicke_daemon.observability import console
from wernicke_daemon.observability.console import Aside, ConsoleStream


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, io.TextIOWrapper]]:
    """A descriptor to read from, and a stream to write to."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        try:
            yield reader, stream
        finally:
            os.close(reader)


def test_all_that_is_said_comes_in_order() -> None:
    with pipe() as (reader, stream):
        with ConsoleStream(stream) as said:
            for number in range(5):
                print(number, "会議", file=said)
        lines = os.read(reader, 1000).decode().splitlines()
    assert lines == [f"{number} 会議" for number in range(5)]


def test_what_finds_no_place_is_counted() -> None:
    """Nothing waits, and what is said later comes behind the number."""
    done: list[object] = []
    goes_on, stuck = threading.Event(), threading.Event()
    aside = Aside(done.append)

    def block() -> None:
        stuck.set()
        goes_on.wait(60)

    aside.post(block)
    stuck.wait(60)
    for number in range(console._MOST_WAITING + 7):
        aside.post(lambda number=number: done.append(str(number)))  # type: ignore[misc]
    goes_on.set()
    eventually_sync(lambda: len(done) == console._MOST_WAITING)
    aside.post(lambda: done.append("after"))
    aside.close()
    assert done[-2:] == [7, "after"] and done[:3] == ["0", "1", "2"]


def test_a_pipe_that_nobody_reads_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_CLOSE_S", 0.01)
    with pipe() as (_, stream):
        said = ConsoleStream(stream)
        for _ in range(100):
            said.write("x" * 10_000)  # a pipe takes 64 KiB
        said.close()


def test_a_reader_that_has_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream, ConsoleStream(stream) as said:
        said.write("nobody\n")


def test_a_stream_without_a_file_is_written_to() -> None:
    stream = io.StringIO()
    with ConsoleStream(stream) as said:
        said.write("one\n")
    assert stream.getvalue() == "one\n"
