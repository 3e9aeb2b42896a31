"""What leaves for the network says nothing of this machine's folders, and is otherwise as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.redaction import public

MARK = "私"
"""In each part of every path here, and in nothing else."""

PART = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), max_size=8).map(lambda s: MARK + s)
SLASHES = st.sampled_from(["/", "\\", "\\\\"])
ROOTS = {
    "/": ["/", "//", "~/", "C:/", "file:///", "//?/C:/"],
    "\\": ["C:\\", "\\\\server\\", "\\\\?\\C:\\", "\\\\.\\"],
    "\\\\": ["C:\\\\", "\\\\\\\\server\\\\", "\\\\\\\\?\\\\C:\\\\"],
}


@st.composite
def paths(draw: st.DrawFn) -> str:
    """POSIX's, Windows' and Windows' as Python quotes them, of two parts or more with anything in them."""
    slash = draw(SLASHES)
    root = draw(st.sampled_from(ROOTS[slash]))
    return root + slash.join(draw(st.lists(PART, min_size=2, max_size=4)))


@given(
    st.sampled_from(["", "in ", "(", "model=", "can't open 'x' in ", "on http://h:1/v1 24/7, "]),
    paths(),
    st.sampled_from(["{}", "'{}'", '"{}"', "`{}`", "{!r}", "({})", "<{}>"]),
    st.sampled_from(["", ".", ", which is none", ": can't be read, or 'y' is not", "); 'x' it is", " -> '/a'"]),
)
def test_nothing_of_a_path_is_left(before: str, path: str, quoted: str, after: str) -> None:
    """Whatever its names are made of, and whether its end can be told or not; what stands before it stays."""
    shown = public(before + quoted.format(path) + after)
    assert MARK not in shown
    assert shown.startswith(before) and "…" in shown
    assert public(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "asr.model is '/home/ann/my models/x', which is no directory here: correct it",
            "asr.model is '…', which is no directory here: correct it",
        ),
        ("[Errno 2] No such file or directory: '/venv/bin/python'", "[Errno 2] No such file or directory: '…'"),
        ("the model in 'C:\\Users\\Ann\\my models' lacks x: pull it", "the model in '…' lacks x: pull it"),
        ("the model in '/home/o'brien/m' can't be read", "the model in '…' can't be read"),
        ("libcudart.so: cannot open /opt/my cuda/lib: gone", "libcudart.so: cannot open …"),
        ("cut off in '/home/ann/my mo", "cut off in '…"),
        ("no server at http://ann:pass@word@host:11434/v1 (gone)", "no server at http://host:11434/v1 (gone)"),
    ],
)
def test_the_rest_of_a_sentence_stays_where_it_can(text: str, shown: str) -> None:
    """A path in quotes costs no more than itself."""
    assert public(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "24/7, and/or, n/a, 3 / 4, km/h, a // b, TCP/IP, (s)/(m)",
        "2026/01/02 12:30, 2026-01-02T12:30:00.000Z",
        "application/json; charset=utf-8",
        "no Ollama server answers at http://127.0.0.1:11434 (no connection): start Ollama, correct llm.host",
        "see https://ollama.com/download/linux?a=/b, or http://[::1]:8000/health",
        "the model pyannote/speaker-diarization-community-1 and qwen2.5:14b-instruct-q4_0, hf.co/o/n:Q4",
        "'pyannote/speaker-diarization-3.1' or \"Systran/faster-whisper-tiny\", ./here, ../there",
        "Expected `str` matching regex '^(auto|[a-z]{2,3})\\\\Z' - at `$.language`.",
        "connect with ?sample_rate=16000&channels=1&encoding=s16le",
        "its process ended with -9; started again in 0.0 s",
        "今日は/昨日は",
    ],
)
def test_what_is_no_path_stays(text: str) -> None:
    assert public(text) == text


def test_a_page_is_searched_to_its_depths() -> None:
    """And keeps its shape."""
    page = {"stages": {"asr": {"why": "no '/a b'", "pid": 7, "engine": None}}, "problems": ["in /a b", 1.5, True]}
    assert public(page) == {
        "stages": {"asr": {"why": "no '…'", "pid": 7, "engine": None}},
        "problems": ["in …", 1.5, True],
    }


def test_errors_to_clients_name_no_path() -> None:
    """Neither in their sentence nor beside it."""
    error = protocol.error("INTERNAL_ERROR", "Can't open '/a b'.", details={"file": "/a b", "from": 1.5}, sequence=3)
    assert (error.message, error.details, error.sequence) == ("Can't open '…'.", {"file": "…", "from": 1.5}, 3)
