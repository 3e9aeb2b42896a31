"""What the benchmarks share: their options, a place to work in, and figures beside what is wanted of them."""

import argparse
import contextlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from ipc import files


@dataclass(frozen=True)
class Figure:
    """at_least, at_most: what is wanted of `value`; neither where it is only told."""

    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def cells(self) -> tuple[str, str, str]:
        """Measured, wanted, and whether that was reached."""
        return f"{self.value:.3g} {self.unit}".rstrip(), self._wanted, self._verdict

    @property
    def _wanted(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g} {self.unit}".rstrip()
        return f"<= {self.at_most:g} {self.unit}".rstrip() if self.at_most is not None else ""

    @property
    def _verdict(self) -> str:
        if self.at_least is None and self.at_most is None:
            return ""
        low = self.at_least is not None and self.value < self.at_least
        high = self.at_most is not None and self.value > self.at_most
        return "missed" if low or high else "reached"


def parser(description: str) -> argparse.ArgumentParser:
    """With the option that every benchmark has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return options


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder for everything that a daemon keeps, gone afterwards."""
    psutil.cpu_percent()  # from here on, until it is asked for
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows removes no open log file
        yield Path(folder)


def tell(line: str) -> None:
    """What is under way, beside the table."""
    print(line, file=sys.stderr, flush=True)


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)


def save(path: Path | None, figures: dict[str, Any]) -> None:
    """`figures` and what they were measured on, as JSON; nothing where `path` is None."""
    if path is not None:
        files.replace(path, (json.dumps({**figures, "machine": machine()}, indent=2) + "\n").encode())


def machine() -> dict[str, Any]:
    """cpu_percent: how busy all CPUs together were since `workplace`, with whatever others did, which blurs times.
    clock_ms: in what steps the clock of all times moves; 15.6 on Windows before Python 3.13.
    load: how many programs ran or waited for a CPU, on average over 1, 5 and 15 minutes; None where that is
    not known."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "clock_ms": round(time.get_clock_info("monotonic").resolution * 1000, 6),
        "cpu_percent": psutil.cpu_percent(),
        "load": _load(),
    }


def _load() -> list[float] | None:
    try:
        return [round(load, 2) for load in psutil.getloadavg()]
    except RuntimeError:  # on Windows, where performance counters are switched off
        return None
