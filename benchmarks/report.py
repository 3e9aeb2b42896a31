"""What the benchmarks share: their options, and figures beside what is wanted of them as a table and as JSON."""

import argparse
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """at_least, at_most: what is wanted of `value`; neither where it is only told."""

    name: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def wanted(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g} {self.unit}".rstrip()
        return f"<= {self.at_most:g} {self.unit}".rstrip() if self.at_most is not None else ""

    @property
    def verdict(self) -> str:
        if not self.wanted:
            return ""
        low = self.at_least is not None and self.value < self.at_least
        high = self.at_most is not None and self.value > self.at_most
        return "missed" if low or high else "reached"


def parser(description: str) -> argparse.ArgumentParser:
    """With the option that every benchmark has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return options


def show(title: str, figures: Sequence[Figure]) -> None:
    table = Table("figure", "measured", "wanted", "", title=title)
    for figure in figures:
        table.add_row(figure.name, f"{figure.value:.3g} {figure.unit}".rstrip(), figure.wanted, figure.verdict)
    Console(markup=False, highlight=False).print(table)


def save(path: Path | None, figures: dict[str, Any]) -> None:
    """`figures` and what they were measured on, as JSON; nothing where `path` is None."""
    if path is not None:
        path.write_text(json.dumps({**figures, "machine": machine()}, indent=2) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """load: processes that want a CPU, mean of the last minute; what others do there blurs every figure."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load": round(psutil.getloadavg()[0], 2),
    }
