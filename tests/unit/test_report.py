"""What a report says, and that nothing private is in it, wherever it stood."""

from ipaddress import ip_address

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wernicke_daemon.config.load import parse
from wernicke_daemon.config.schema import Config
from wernicke_daemon.doctor import private, report
from wernicke_daemon.doctor.checks import Check
from wernicke_daemon.doctor.log_summary import Kind, summary
from wernicke_daemon.doctor.private import Private, redacted

SECRET = "秘"
"""In each private thing here, and in nothing else."""

PART = st.text(st.characters(exclude_characters="/\\\0" + SECRET, exclude_categories=["C", "Z"]), max_size=8)
NAME = PART.map(lambda text: text + SECRET + text)
AROUND = st.sampled_from(["", " ", "'", "(", ": ", "=", "ab", "さん", "\n", "/", "@", " of "])
FOLDER = st.one_of(
    st.tuples(NAME, PART).map(lambda parts: f"/home/{parts[0]}/{parts[1]}x"),
    st.tuples(NAME, PART).map(lambda parts: f"C:\\Users\\{parts[0]}\\{parts[1]}x"),
)


@given(NAME, AROUND, AROUND)
def test_no_name_is_left(name: str, before: str, after: str) -> None:
    """Whatever it is made of and stands beside, in capitals or not."""
    for spelt in (name, name.swapcase()) if name.isascii() else (name,):
        assert SECRET not in redacted(before + spelt + after, Private(names=(name,)))


@given(FOLDER, st.sampled_from(["{}", "at={}", "'{}'", "x{}", "{!r}"]), NAME)
def test_no_folder_is_left_and_nothing_in_it(folder: str, quoted: str, below: str) -> None:
    """Not even where it begins in the middle of a word."""
    slash = "\\" if "\\" in folder else "/"
    assert SECRET not in redacted(quoted.format(folder + slash + below), Private(folders=(folder,)))


@given(NAME, AROUND, AROUND)
def test_no_token_is_left(token: str, before: str, after: str) -> None:
    """The ones that this machine has."""
    assert SECRET not in redacted(before + token + after, Private(tokens=(token,)))


@pytest.mark.parametrize(
    "token",
    ["hf_" + "aB3" * 10, "0123456789abcdef" * 4, "sha256:" + "ab" * 32, "Bearer Secret.123", "?token=Secret123"],
)
def test_no_token_of_others_is_left(token: str) -> None:
    shown = redacted(f"refused {token} now", Private())
    assert token not in shown and "Secret" not in shown and shown.startswith("refused ") and shown.endswith(" now")


@given(st.ip_addresses(), st.sampled_from(["{}", "({})", "peer={}", "'{}'", "{}, gone", "at {}."]))
def test_no_address_is_left(address: object, around: str) -> None:
    """But those that every machine calls itself by."""
    own = ip_address(str(address)).is_loopback or ip_address(str(address)).is_unspecified
    assert (str(address) in redacted(around.format(address), Private())) == own


@pytest.mark.parametrize(
    "text",
    [
        "listens on 127.0.0.1 and ::1, at 12:30:15, version 10.0.19045, 0.0.0.0:8000",
        "channels: 2",
        "Hugging Face token: not needed",
        "the model pyannote/speaker-diarization-community-1, qwen2.5:14b-instruct-q4_0",
    ],
)
def test_what_is_not_private_stays(text: str) -> None:
    """A short name is no part of a longer word."""
    assert redacted(text, Private(names=("ann",))) == text


def test_a_short_name_goes_as_a_word() -> None:
    """In capitals, and in what is put together with _ or -, too."""
    assert redacted("ANN's, ann_pc, ann-pc", Private(names=("ann",))) == "…'s, …_pc, …-pc"


# --- settings and log ------------------------------------------------------------------------------

OWN_WORDS = f"""
host = "{SECRET}.home"
glossary = ["{SECRET}"]
replacements = ["{SECRET} -> x"]
cors_origins = ["https://{SECRET}.example"]
[asr]
model = "models/{SECRET}/tiny"
beam_size = 3
[alignment]
engine = "whisper"
[runtime]
data_dir = "{SECRET}"
standby = ["asr"]
[logging]
file = "{SECRET}.log"
"""


def test_of_ones_own_words_in_the_settings_is_said_only_that_there_are_some() -> None:
    settings = dict(private.public_settings(parse(OWN_WORDS)))
    assert SECRET not in str(settings)
    assert settings["glossary"] == "(1 given)" and settings["host"] == "(given)"
    assert settings["asr.beam_size"] == "3" and settings["alignment.engine"] == "whisper"
    assert "asr" in settings["runtime.standby"] and settings["asr.temperatures"].startswith("(0.0, 0.2")


def test_all_settings_as_shipped_are_shown() -> None:
    assert "given" not in str(private.public_settings(Config()))


@given(st.dictionaries(st.sampled_from(["text", "event", "level", "stage", "code", "timestamp", "x"]), NAME))
def test_no_word_of_a_log_line_is_repeated(fields: dict[str, str]) -> None:
    """But names of events, levels, stages and codes, and numbers."""
    assert SECRET not in str(summary([msgspec.json.encode(fields), (SECRET + "{").encode()]))


def test_log_lines_are_counted_by_kind() -> None:
    """With the numbers of the last one."""
    lines = [
        b'{"level": "info", "event": "slept", "asleep_s": 60.5, "text": "x", "timestamp": "2026-01-01T10:00:00Z"}',
        b'{"level": "info", "event": "slept", "asleep_s": 61.5, "on": true, "timestamp": "2026-01-02T10:00:00Z"}',
        b'{"level": "warning", "event": "refused", "stage": "asr", "code": "BAD_AUDIO"}',
        b"\xff",
    ]
    found = summary(lines)
    slept = found[Kind("info", "slept", "", "")]
    assert (slept.times, slept.last, slept.numbers) == (2, "2026-01-02T10:00:00Z", {"asleep_s": 61.5})
    assert found[Kind("warning", "refused", "asr", "BAD_AUDIO")].times == 1
    assert found[Kind("(other)", "(other)", "", "")].times == 1


def test_a_page_that_is_none_is_not_repeated() -> None:
    """And each part of the report goes through the redaction."""
    found = report.Found(
        written=SECRET,
        machine=[("system", SECRET)],
        packages=[("numpy", SECRET)],
        checks=[Check("port", False, f"{SECRET} has it", f"ask {SECRET}")],
        settings=[("host", SECRET)],
        pages={"health": {"status": "ok", "x": SECRET}, "stats": f"no answer from {SECRET}"},
        priorities={"asr": SECRET},
        log=summary([]),
    )
    text = report.text(found, Private(names=(SECRET,)))
    assert SECRET not in text
    for line in ("NO port: … has it", "-- port, to do: ask …", "stats: no answer from …", "priority of asr: …"):
        assert line in text.splitlines()
