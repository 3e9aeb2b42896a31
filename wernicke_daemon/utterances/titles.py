"""What the voices of a session are called: `Speaker_00`, … until somebody says, or it is recognised, who that is. Pure.

A voice stays what it is, whatever it is called: two that are called alike are one person to whoever reads the
transcript, and either can be called otherwise again.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping

from ipc.errors import WernickeError

MOST_LETTERS = 64
"""Of a name; a line of a terminal has room for it and for some text."""

_LABEL = re.compile(r"speaker_\d+", re.IGNORECASE)
"""What voices without a name are called."""

_JOINERS = "\u200c\u200d"
"""Of the invisible characters those that scripts need (Persian, Indic)."""


class BadName(WernickeError):
    """A name that no voice can have, or a voice that does not exist."""

    code = "INVALID_MESSAGE"


def label_of(voice: int) -> str:
    """Of a voice by its number in the session."""
    return f"Speaker_{voice:02d}"


def checked(name: str) -> str:
    """The name as it is kept: without blanks around it, in Unicode's composed form. Raises BadName."""
    name = unicodedata.normalize("NFC", name.strip())
    if not name:
        raise BadName("A name must not be empty.")
    if len(name) > MOST_LETTERS:
        raise BadName(f"A name may have {MOST_LETTERS} characters at most; this one has {len(name)}.")
    if (
        any(unicodedata.category(char)[0] == "C" and char not in _JOINERS for char in name)
        or len(name.splitlines()) > 1
    ):
        raise BadName("A name must not hold control characters or line breaks.")
    if _LABEL.fullmatch(name):
        raise BadName(f"{name} is what voices without a name are called; choose another name.")
    return name


class Titles:
    """The names of a session's voices, by their labels."""

    def __init__(self, given: Mapping[str, str] = {}, recognised: Mapping[str, str] = {}) -> None:
        """given: by people. recognised: by what is known of people from before; the session's client knows better."""
        self.given = dict(given)
        self.recognised = dict(recognised)

    def of(self, label: str) -> str:
        """What it is called."""
        return self.given.get(label) or self.recognised.get(label) or label

    def knows(self, label: str) -> bool:
        """Whether it is said or known who that is, or that it is nobody known."""
        return label in self.given or label in self.recognised

    @property
    def named(self) -> set[str]:
        """Names that people gave."""
        return {name for label, name in self.given.items() if name != label}

    @property
    def people(self) -> set[str]:
        """All who are there by name."""
        return {self.of(label) for label in self.given | self.recognised}

    def give(self, speaker: str, name: str, labels: Iterable[str]) -> list[str]:
        """Call a voice by a name from now on. speaker: its label, or what it is called. name: its label takes the name
        back. labels: of all voices of the session. Returns those that it is about. Raises BadName."""
        meant = self._meant(speaker, list(labels))
        if name.strip() in meant:
            for label in meant:
                self.given[label] = label
        else:
            self.given |= dict.fromkeys(meant, checked(name))
        return meant

    def replacing(self, speaker: str, name: str, labels: Iterable[str]) -> tuple[str, str] | None:
        """What `give` would change where only names are known: one that nobody would have any more, and what takes its
        place. None where another voice keeps it, or several are told apart by it. Raises BadName."""
        labels, then = list(labels), Titles(self.given, self.recognised)
        meant = then.give(speaker, name, labels)
        before, after = self.of(meant[0]), {then.of(label) for label in meant}
        kept = before in map(then.of, labels)
        return None if kept or len(after) > 1 else (before, after.pop())

    def _meant(self, speaker: str, labels: Collection[str]) -> list[str]:
        meant = [label for label in labels if speaker == label] or [
            label for label in labels if speaker == self.of(label)
        ]
        if not meant:
            there = ", ".join(dict.fromkeys(map(self.of, labels))) or "none so far"
            raise BadName(f"There is no voice {speaker[:MOST_LETTERS]!r} in this session; there are: {there}.")
        return meant
