"""The documents under docs/ say what the code does: names are taken from the code and looked up, both ways."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast, get_args, get_origin

import msgspec
import pytest
import structlog

from ipc.audio_handle import AudioHandle
from ipc.messages import AsrResult, Boundary
from wernicke_daemon.observability.figures import Figures
from wernicke_daemon.observability.pages import Health, Percentiles, Stats
from wernicke_daemon.records.no_store import NoStore
from wernicke_daemon.sessions.recorder import Recorder
from wernicke_daemon.sessions.session import Session
from wernicke_daemon.utterances import results
from wernicke_daemon.utterances.context import Context, Remembered
from wernicke_daemon.utterances.utterance import SpokenLine, Utterance
from wernicke_daemon.wire import protocol

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
DOCUMENTS = [*DOCS, ROOT / "README.md", ROOT / "CHANGELOG.md"]
SOURCES = [path for package in ("wernicke_daemon", "stages", "ipc") for path in sorted((ROOT / package).rglob("*.py"))]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}

PROTOCOL = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
LOGGING = (ROOT / "docs" / "logging.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
RELIABILITY = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")

TOP = "wernicke_daemon|stages|ipc|tests|docs|benchmarks|tools"
"""The project's folders."""
PATHS = [path for folder in TOP.split("|") for path in (ROOT / folder).rglob("*.*")]

CODE = r"[A-Z]+(_[A-Z]+)+|OVERLOADED|UNAUTHORIZED"
"""What a code looks like. Of single words there are many, and few are codes."""

NOT_ON_THE_WIRE = {
    "CAN_NOT_LISTEN",
    "CERTIFICATE_VERIFY_FAILED",
    "CONFIGURE_KEYTERMS_NOT_SUPPORTED",
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "DO_NOT_TRACK",
    "ENGINE_FAILED",
    "ENGINE_UNAVAILABLE",
    "GOMP_SPINCOUNT",
    "HF_HOME",
    "HF_HUB_DISABLE_SYMLINKS_WARNING",
    "HF_HUB_DISABLE_TELEMETRY",
    "HF_HUB_OFFLINE",
    "HF_TOKEN",
    "INPUT_CUT_OFF",
    "INPUT_DAMAGED",
    "INPUT_HOLE",
    "INPUT_UNREADABLE",
    "INSUFFICIENT_PERMISSIONS",
    "INVALID_AUTH",
    "INVALID_OPTION",
    "KMP_BLOCKTIME",
    "KMP_DUPLICATE_LIB_OK",
    "MKL_NUM_THREADS",
    "MODELS_MISSING",
    "NO_LOG",
    "NO_PROXY",
    "NO_SHARED_MEMORY",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "OPENBLAS_NUM_THREADS",
    "ORT_DISABLE_TELEMETRY",
    "OTEL_SDK_DISABLED",
    "PCI_BUS_ID",
    "PYANNOTE_METRICS_ENABLED",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
    "RAY_USAGE_STATS_ENABLED",
    "SERVICE_UNAVAILABLE",
    "STALE_HANDLE",
    "START_FAILED",
    "TOO_MANY_REQUESTS",
    "TRANSFORMERS_OFFLINE",
    "WERNICKE_TOKEN",
    "WRONG_ANSWER",
    "XDG_CACHE_HOME",
}
"""Constants that look like codes of the protocol and reach none of its clients."""

NAMED_ELSEWHERE = {"drained", "not_started", "stage_output"}
"""Events whose name is not written in the logging call itself."""

LEVELS = {"exception": "error"}
"""Of logging methods that are not named after theirs."""


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of any rank."""
    found = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {heading!r}"
    return found[1]


def rows(text: str) -> dict[str, str]:
    """Table rows that begin with a name in backticks: name → the rest of the row."""
    return dict(re.findall(r"^\| `([^`]+)` \|(.*)$", text, re.MULTILINE))


def paths(struct: Any, prefix: str = "") -> Iterator[str]:
    """Every field of a message as it is written in the tables: `segments[].words[].start`."""
    for field in msgspec.structs.fields(struct):
        name = prefix + field.encode_name
        yield name
        for inner, many in structs_in(field.type):
            yield from paths(inner, f"{name}[]." if many else f"{name}.")


def structs_in(kind: Any, many: bool = False) -> Iterator[tuple[Any, bool]]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind, many
    for argument in get_args(kind):
        yield from structs_in(argument, many or get_origin(kind) is list)


def tag(struct: type[msgspec.Struct]) -> str:
    return str(struct.__struct_config__.tag)


def strings(tree: ast.AST) -> set[str]:
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def log_calls() -> Iterator[tuple[str, str, set[str]]]:
    """Event, level ("" where it is computed) and keyword names of every logging call that names its event."""
    for node in (node for tree in TREES.values() for node in ast.walk(tree)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_log(node.func.value)):
            continue
        names = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        method = node.func.attr
        level = "" if method == "log" else LEVELS.get(method, method)
        keywords = {keyword.arg for keyword in node.keywords if keyword.arg} - {"exc_info"}
        yield from ((name, level, keywords) for name in names)


def is_log(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id in ("log", "_log")) or (
        isinstance(node, ast.Attribute) and node.attr == "_log"
    )


# --- protocol.md -----------------------------------------------------------------------------------


@pytest.mark.parametrize("message", protocol.ServerMessage.__subclasses__(), ids=tag)
def test_every_field_of_every_server_message(message: type[msgspec.Struct]) -> None:
    """The table of a message has exactly the fields that are sent."""
    assert set(rows(section(PROTOCOL, f"`{tag(message)}`"))) == set(paths(message))


def test_every_server_message() -> None:
    """No message is described that does not exist."""
    described = re.findall(r"^### `(\w+)`$", section_group(PROTOCOL, "Server messages"), re.MULTILINE)
    assert set(described) == {tag(message) for message in protocol.ServerMessage.__subclasses__()}


def section_group(text: str, heading: str) -> str:
    """What stands under a heading of the second rank, with its sub-sections."""
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def test_every_client_message_option_and_event() -> None:
    """What a client may say is all there is, and all of it is there."""
    assert set(rows(section(PROTOCOL, "Client messages"))) - {"type"} == {
        tag(message) for message in get_args(protocol.ClientMessage)
    }
    assert set(rows(section(PROTOCOL, "Options"))) == set(protocol.Start.__struct_fields__) | protocol.EVENTS


def test_every_code() -> None:
    """The table of codes holds every code that can reach a client, and no other."""
    used = {text for tree in TREES.values() for text in strings(tree) if re.fullmatch(CODE, text)}
    assert set(rows(section(PROTOCOL, "Codes"))) == used - NOT_ON_THE_WIRE


def test_every_close_code() -> None:
    """The close codes that the daemon itself uses are explained."""
    used = {str(value) for name, value in vars(protocol).items() if name.startswith("CLOSE_")}
    explained = re.findall(r"^\| (1\d{3}) \|", section(PROTOCOL, "Codes"), re.MULTILINE)
    assert used <= set(explained)


@pytest.mark.parametrize("page", [Health, Stats])
def test_every_field_of_the_http_pages(page: type[msgspec.Struct]) -> None:
    """/health and /stats are described field by field; percentiles once for all."""
    percentiles = set(Percentiles.__struct_fields__)
    named = {path.rpartition(".")[2] for path in paths(page)}
    assert set(rows(section(PROTOCOL, f"`GET /{page.__name__.lower()}`"))) == named - percentiles
    assert all(f"`{name}`" in PROTOCOL for name in percentiles)


# --- logging.md ------------------------------------------------------------------------------------


def documented_events() -> dict[str, str]:
    return rows(section(LOGGING, "Events of the front process")) | rows(
        section(LOGGING, "Events of the stage processes")
    )


def test_every_log_event() -> None:
    """The tables hold every event that is logged, and no other."""
    assert {event for event, _, _ in log_calls()} | NAMED_ELSEWHERE == set(documented_events())
    assert set.union(*map(strings, TREES.values())) >= NAMED_ELSEWHERE


def test_fields_and_level_of_every_log_event() -> None:
    """A row names each field that the event is logged with, and its level."""
    documented = documented_events()
    missing = [
        (event, name)
        for event, level, fields in log_calls()
        for name, written in ((level, level), *((field, f"`{field}`") for field in fields))
        if written not in documented[event]
    ]
    assert missing == []


def test_every_field_of_the_utterance_line() -> None:
    """The line as it is really logged has exactly the documented fields."""
    utterance = Utterance(
        session="s",
        sequence=1,
        buffer_id="b",
        audio=AudioHandle("a", 0, 1, 0, 16_000),
        boundary=Boundary(0, 16_000, "silence", 8_000, 12_000),
        language="en",
        glossary=(),
        triggered=0.0,
        wall_start=0.0,
        asr=AsrResult("en", 1.0, (), "whisper"),
        lines=tuple[SpokenLine, ...](),
        models={"asr": "m"},
    )
    with structlog.testing.capture_logs() as lines:
        final = results.final(utterance, [], words=True, now=1.0)
        session = cast(
            Session,
            SimpleNamespace(
                id="s", attached=True, context=Context(Remembered(), 1, 0), kept=lambda utterance, message: None
            ),
        )
        Recorder(Figures(), NoStore(), None, log_text=True).outcome(session, utterance, final)
    [line] = [line for line in lines if line["event"] == "utterance"]
    assert set(line) - {"event", "log_level"} == set(rows(section(LOGGING, "The `utterance` line")))


# --- reliability.md --------------------------------------------------------------------------------


def test_every_promise_has_tests_that_exist() -> None:
    """A promise names the tests that hold it, and they are there."""
    promises = re.split(r"^### ", section_group(RELIABILITY, "The promises"), flags=re.MULTILINE)[1:]
    assert promises
    for promise in promises:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", promise)
        assert named, promise.splitlines()[0]
        assert [f"{path}::{name}" for path, name in named if name not in functions(path)] == []


@functools.cache
def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


# --- architecture.md, and all of them --------------------------------------------------------------


def test_file_map_is_whole() -> None:
    """Every module is in the map, by itself or by its directory, and what is in the map exists."""
    mapped = set(rows(section(ARCHITECTURE, "Where to find what")))
    assert [path for path in mapped if not (ROOT / path).exists()] == []
    modules = [path.relative_to(ROOT) for path in SOURCES if path.name != "__init__.py"]
    unmapped = [m.as_posix() for m in modules if not {m.as_posix(), f"{m.parent.as_posix()}/"} & mapped]
    assert unmapped == []


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_settings_that_are_named_exist(document: Path) -> None:
    """A setting in backticks, such as `vad.silence_s`, is one of config.toml's."""
    known = set(re.findall(r"^\| `(\w+\.\w+)` \|", (ROOT / "docs" / "configuration.md").read_text("utf-8"), re.M))
    sections = {name.partition(".")[0] for name in known}
    named = re.findall(r"`(\w+)\.(\w+)(?: = [^`]*)?`", document.read_text(encoding="utf-8"))
    settings = {f"{where}.{what}" for where, what in named if where in sections and what not in ("py", "toml", "md")}
    assert settings - known - wire_paths() == set()


def wire_paths() -> set[str]:
    """`audio.channels` is a setting and a field alike; so might others be."""
    return {path for message in protocol.ServerMessage.__subclasses__() for path in paths(message)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """A link finds its file, and in it the heading."""
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not leads_somewhere(document, *link)] == []


def leads_somewhere(document: Path, file: str, anchor: str) -> bool:
    target = document.parent / file if file else document
    return target.exists() and (not anchor or anchor in anchors(target.read_text(encoding="utf-8")))


def anchors(text: str) -> set[str]:
    """What headings are called in links."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_modules_that_are_named_exist(document: Path) -> None:
    """Whatever stands in backticks and looks like a file, folder or module of the project. A file may be named without
    its folders; a module may be followed by what is in it."""
    quoted = [text.partition("::")[0] for text in re.findall(r"`([^`\s]+)`", document.read_text(encoding="utf-8"))]
    files = [text for text in quoted if re.fullmatch(rf"[\w./-]+\.(py|toml|md)|({TOP})/.*", text)]
    modules = [text for text in quoted if re.fullmatch(rf"({TOP})(\.\w+)+", text) and text not in files]
    assert [file for file in files if not (ROOT / file).exists() and not any(path.match(file) for path in PATHS)] == []
    assert [module for module in modules if not is_in_a_module(module)] == []


def is_in_a_module(name: str) -> bool:
    parts = name.split(".")
    return any((ROOT / "/".join(parts[:count])).with_suffix(".py").exists() for count in range(2, len(parts) + 1))
