"""The Ollama server's part of looking after models: whether it has one, and pulling it."""

from http import HTTPStatus

import httpx
import ollama
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from ipc.errors import WernickeError
from ipc.model_names import ollama_name

QUICK_S = 5.0
"""Seconds for what a running server does at once: to accept a connection, to list its models."""
SILENCE_S = 600.0
"""Seconds without news in a pull: the server says nothing while it hashes what has arrived."""

START = (
    "start it (the Ollama app on Windows and macOS, `ollama serve` on Linux; from https://ollama.com/download), "
    "or correct llm.host"
)


class NotInOllama(WernickeError):
    """The server can't be reached, does not have the model, or can't get it."""


def check(host: str, model: str) -> None:
    """Raises NotInOllama where the server does not have the model."""
    try:
        _client(host, QUICK_S).show(model)
    except Exception as error:
        raise NotInOllama(why_not(error, host, model)) from error


def size(host: str, model: str) -> int | None:
    """Bytes on the server's disk; None where it does not have the model, or does not say."""
    try:
        listed = _client(host, QUICK_S).list().models
    except Exception:  # of the client, HTTP, or whatever answers there instead of Ollama; `check` tells them apart
        return None
    found = next((one.size for one in listed if one.model == ollama_name(model)), None)
    return None if found is None else int(found)


def loaded(host: str, model: str) -> tuple[int, int]:
    """Bytes that the model takes while it is loaded, and how many of them on the card; 0 where it is not loaded.

    Raises NotInOllama where no server answers."""
    try:
        running = _client(host, QUICK_S).ps().models
    except Exception as error:
        raise NotInOllama(why_not(error, host, model)) from error
    found = next((one for one in running if one.model == ollama_name(model)), None)
    return (int(found.size or 0), int(found.size_vram or 0)) if found else (0, 0)


def pull(host: str, model: str, console: Console) -> None:
    """With a progress bar for each of the model's parts; what has arrived before is kept. Raises NotInOllama."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    try:
        with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
            tasks = {}
            for step in _client(host, SILENCE_S).pull(model, stream=True):
                if step.digest and step.total and step.digest not in tasks:
                    tasks[step.digest] = progress.add_task(step.digest.removeprefix("sha256:")[:12], total=step.total)
                if step.digest in tasks:
                    progress.update(tasks[step.digest], completed=step.completed or 0)
        check(host, model)
    except NotInOllama:
        raise
    except Exception as error:
        raise NotInOllama(why_not(error, host, model)) from error


def why_not(error: Exception, host: str, model: str) -> str:
    """One sentence with the way out."""
    if isinstance(error, ollama.ResponseError):
        if error.status_code == HTTPStatus.NOT_FOUND:
            return f"Ollama at {host} does not have it: run `wernicke models pull`, or `ollama pull {model}` there"
        if "does not exist" in error.error:
            return f"Ollama's library has no model {model}: correct llm.model"
        if "no space left" in error.error:
            return f"the disk of Ollama at {host} is full: free some space, or set its OLLAMA_MODELS to another disk"
        return f"Ollama at {host} refuses ({' '.join(error.error.split())[:200]}): see its log"
    if isinstance(error, ConnectionError | httpx.ConnectError | httpx.ConnectTimeout | httpx.InvalidURL):
        return f"no Ollama server answers at {host}: {START}"
    if isinstance(error, httpx.TransportError):
        return f"Ollama at {host} broke off ({type(error).__name__}): run this again; what has arrived is kept"
    return f"what answers at {host} is not Ollama ({type(error).__name__}): correct llm.host"


def _client(host: str, seconds: float) -> ollama.Client:
    """Ignores proxies named in the environment: the server is in one's own network."""
    return ollama.Client(host, timeout=httpx.Timeout(seconds, connect=QUICK_S), trust_env=False)
