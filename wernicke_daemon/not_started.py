"""Where it is said why the daemon did not start: without a console (pythonw.exe, a scheduled task, a service) nobody
sees stderr. Needs nothing but Python, as what is missing may be what all else needs."""

import json
import tempfile
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ipc import dll
from ipc.errors import WernickeError

NAME = "not_started.txt"

_LOGS = Path("data", "logs")
"""Where logs are by default, from the folder of config.toml (`config/schema.py`)."""


def leave(error: BaseException, log: Path | None, base: Path) -> Path | None:
    """As a line `not_started` in the log file, or, where that is not known or can't be written, in a file NAME beside
    it, or else in the folder of temporary files. log: of the settings; None where they can't be read. base: the folder
    of config.toml. Returns the file; None where all of them fail."""
    for file in _files(log, base):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8", errors="backslashreplace") as out:
                out.write(_text(error) if file.name == NAME else _line(error))
            return file
        except OSError:
            continue
    return None


def _files(log: Path | None, base: Path) -> Iterator[Path]:
    if log is not None:
        yield log
        yield log.with_name(NAME)
    elif base.is_dir():
        yield base / _LOGS / NAME
    yield Path(tempfile.gettempdir()) / NAME


def _line(error: BaseException) -> str:
    """As all of the log (see `observability/logs.py`)."""
    expected = isinstance(error, WernickeError)
    fields = {
        "code": error.code if isinstance(error, WernickeError) else "INTERNAL_ERROR",
        "reason": str(error) if expected else dll.why(error) or f"{type(error).__name__}: {error}",
        **({} if expected else {"exception": "".join(traceback.format_exception(error))}),
        "event": "not_started",
        "level": "error",
        "timestamp": _now(),
    }
    return json.dumps(fields, ensure_ascii=False) + "\n"


def _text(error: BaseException) -> str:
    said = f"{error}\n" if isinstance(error, WernickeError) else "".join(traceback.format_exception(error))
    if (why := dll.why(error)) is not None:
        said += f"{why}\n"
    return f"{_now()} The daemon did not start:\n{said}\n"


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
