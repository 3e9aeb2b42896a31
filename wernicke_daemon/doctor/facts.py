"""The facts that `checks` judges: looked up on this machine, each within a bounded time."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx
import msgspec
from packaging.requirements import Requirement

from ipc import boot_record, win32
from wernicke_daemon.config.schema import Config
from wernicke_daemon.models import ollama_models
from wernicke_daemon.observability.pages import Health
from wernicke_daemon.processes import process_tree
from wernicke_daemon.processes.exit_codes import ended
from wernicke_daemon.wire import listening
from wernicke_daemon.wire.listening import Trouble, url_host

PROBE_TIMEOUT_S = 120.0
"""For importing PyTorch from a cold disk."""
RAY_TIMEOUT_S = 150.0
"""For joining the cluster, and for its nodes to say what they have."""
QUICK_S = 5.0
DISTRIBUTION = "wernicke-daemon"
SHARED_MEMORY = Path("/dev/shm")


def probe(timeout_s: float = PROBE_TIMEOUT_S) -> dict[str, Any]:
    """What `stages.process.probe` says. Raises what `_said_by` does."""
    return _said_by("stages.process.probe", b"", timeout_s)


def ray(config: Config) -> dict[str, Any]:
    """What `wernicke_daemon.cluster.examine` says. Raises what `_said_by` does."""
    question = boot_record.framed(msgspec.msgpack.encode(config))
    return _said_by("wernicke_daemon.cluster.examine", question, RAY_TIMEOUT_S)


def _said_by(module: str, told: bytes, timeout_s: float) -> dict[str, Any]:
    """The last line of what a process that runs that module prints. told: on its stdin.

    Raises OSError, TimeoutError or ValueError: the process can't be started, hangs, or says nothing of use."""
    process = subprocess.Popen(
        [process_tree.python(), "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=process_tree.environment(),
        **process_tree.popen_options(),
    )
    try:
        output, _ = process.communicate(told, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()  # without waiting for its end: a process that hangs in the driver may not end at all
        raise TimeoutError(f"no answer within {timeout_s:g} s") from None
    lines = output.splitlines()
    if process.returncode or not lines:
        raise ValueError(f"the process {ended(process.returncode)}")
    return dict(json.loads(lines[-1]))


# --- packages --------------------------------------------------------------------------------------


def package_problems(requirements: list[Requirement]) -> list[str]:
    """What is missing, or of a version that does not fit."""
    problems = []
    for requirement in requirements:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            problems.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            problems.append(f"{requirement.name} is {version}, not {requirement.specifier}")
    return problems


def requirements(gpu: bool) -> list[Requirement]:
    """Of this package: by a checkout's pyproject.toml, or by what was installed. gpu: with those of that extra."""
    file = process_tree.PACKAGES / "pyproject.toml"
    if file.exists():
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        lines = project["dependencies"] + (project["optional-dependencies"]["gpu"] if gpu else [])
    else:
        lines = metadata.requires(DISTRIBUTION) or []
    extra = {"extra": "gpu" if gpu else ""}
    found = [Requirement(line) for line in lines]
    return [one for one in found if one.marker is None or one.marker.evaluate(extra)]


def own_version() -> str:
    return metadata.version(DISTRIBUTION)


def vc_runtime() -> tuple[int, int] | None:
    """Version of Windows' own MSVCP140.dll; None where it is not there. Raises OSError on other systems."""
    if sys.platform != "win32":
        raise OSError("Windows alone has it")
    return win32.file_version(Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "msvcp140.dll"))


# --- servers ---------------------------------------------------------------------------------------


class OllamaFacts(NamedTuple):
    """problem: why the server does not answer. size, size_vram: bytes of our model where it is loaded, or 0."""

    problem: str
    size: int
    size_vram: int


def ollama(config: Config) -> OllamaFacts:
    """No request is made where nothing is corrected."""
    if config.correction.engine == "none":
        return OllamaFacts("", 0, 0)
    try:
        found = ollama_models.loaded(config.llm.host, config.llm.model)
    except ollama_models.NotInOllama as error:
        return OllamaFacts(str(error), 0, 0)
    return OllamaFacts("", *found)


def port_trouble(config: Config) -> Trouble | None:
    """Why the daemon could not listen at its address; None where it could."""
    try:
        listening.try_to_bind(config.host, config.port)
    except OSError as error:
        return listening.trouble(error, config.host, config.port)
    return None


def pages_port_trouble(config: Config) -> Trouble | None:
    """The same of the pages' port."""
    host, port = config.web.host or config.host, config.web.port
    try:
        listening.try_to_bind(host, port)
    except OSError as error:
        why, _ = listening.trouble(error, host, port)
        return Trouble(why, "choose another web.port or web.host in config.toml, or stop the program that uses it")
    return None


def is_daemon(config: Config) -> bool:
    """Whether what answers at the daemon's address is one. Where it has tokens, /health says as little as that of many
    programs; that a token is needed for /stats, it says in words of its own."""
    return _answers(config, "health", Health) or _answers(config, "stats", Unauthorized)


class Unauthorized(msgspec.Struct):
    """What the daemon says where a token is needed."""

    code: Literal["UNAUTHORIZED"]
    error: str


def _answers(config: Config, page: str, kind: type[msgspec.Struct]) -> bool:
    scheme = "https" if config.tls_files else "http"
    url = f"{scheme}://{url_host(listening.reachable(config.host))}:{config.port}/{page}"
    try:  # the certificate is not checked: nothing secret is sent
        answer = httpx.get(url, timeout=QUICK_S, verify=False, trust_env=False)
        msgspec.json.decode(answer.content, type=kind)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):  # bytes that are no text are no DecodeError
        return False
    return True


# --- disks -----------------------------------------------------------------------------------------


def shared_memory_size() -> int | None:
    """Bytes; None on systems that do not limit it so."""
    return shutil.disk_usage(SHARED_MEMORY).total if sys.platform == "linux" else None


def nearest(directory: Path) -> Path:
    """The directory, or where it would be made."""
    return next(place for place in (directory, *directory.parents) if place.exists())


def write_problem(directory: Path) -> str:
    """Why no file can be made there; empty where one can. Leaves nothing behind."""
    place = nearest(directory)
    try:
        with tempfile.TemporaryFile(dir=place):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def free_space(directory: Path) -> int:
    """Bytes."""
    return shutil.disk_usage(nearest(directory)).free


def bits() -> int:
    """Of this Python."""
    return 64 if sys.maxsize > 2**32 else 32
