"""Which recordings a folder holds, and which files say what is true of them."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from wernicke_daemon.evaluation.reference import ENDINGS, BadReference

CUTS = "._-"
"""A reference may be of several recordings: meeting.json of meeting_table.flac and meeting_laptop.flac."""


class Pair(NamedTuple):
    recording: Path
    references: tuple[Path, ...]


def paired(folder: Path) -> tuple[list[Pair], list[Path]]:
    """The recordings by name, with their references; and what has none. Raises BadReference where nothing has one."""
    if not folder.is_dir():
        raise BadReference(f"{folder} is no folder: name one with recordings and what is said in them")
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    references = [path for path in files if path.suffix.lower() in ENDINGS]
    recordings = [path for path in files if path not in references and path.suffix.lower() not in (".html", ".md")]
    pairs = [Pair(one, of(one, references)) for one in recordings]
    if not any(pair.references for pair in pairs):
        raise BadReference(
            f"{folder} has no recording with a reference: beside meeting.flac put meeting.txt (what is said), or "
            f"{', '.join(f'meeting{ending}' for ending in ENDINGS if ending != '.txt')}"
        )
    return [pair for pair in pairs if pair.references], [pair.recording for pair in pairs if not pair.references]


def of(recording: Path, references: Iterable[Path]) -> tuple[Path, ...]:
    """Those of the recording's name, else of the longest beginning of it."""
    name = recording.stem
    fitting = [one for one in references if name == one.stem or _begins(name, one.stem)]
    longest = max((len(one.stem) for one in fitting), default=0)
    return tuple(one for one in fitting if len(one.stem) == longest)


def _begins(name: str, with_: str) -> bool:
    return name.startswith(with_) and name[len(with_)] in CUTS
