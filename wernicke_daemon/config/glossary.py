"""Terms that will be heard, and what to write for what is heard, by config.toml and glossary files. Pure.

A term is "高梨", or with its reading "高梨=たかなし". A rule is "heard -> written".
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wernicke_daemon.config.typed_toml import ConfigError

ARROW = "->"
LONGEST = 100
"""Characters of a term or of either side of a rule, as in the protocol."""
MOST = 1000
"""Terms, and rules: far more than any model has room for."""


class Glossary(NamedTuple):
    """terms: as they are written, the most important first. readings: in kana, of those that have one. rules: what is
    written for what is heard, in that order."""

    terms: tuple[str, ...] = ()
    readings: tuple[tuple[str, str], ...] = ()
    rules: tuple[tuple[str, str], ...] = ()


def parsed(terms: Sequence[str], rules: Sequence[str]) -> Glossary:
    """terms, rules: as in config.toml. Raises ConfigError naming what is wrong, without its setting."""
    pairs = dict(map(_term, terms))
    mended = dict(map(_rule, rules))
    if max(len(pairs), len(mended)) > MOST:
        raise ConfigError(f"more than {MOST} entries; keep the most important ones")
    readings = tuple((written, reading) for written, reading in pairs.items() if reading)
    return Glossary(tuple(pairs), readings, tuple(mended.items()))


def lines(text: str) -> tuple[list[str], list[str]]:
    """Terms and rules of a glossary file: one a line; "#" begins a comment line."""
    kept = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [line for line in kept if ARROW not in line], [line for line in kept if ARROW in line]


def together(first: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """Each term once, those of the first before the others."""
    return tuple(dict.fromkeys([*first, *others]))


def _term(entry: str) -> tuple[str, str]:
    written, equals, reading = (part.strip() for part in entry.partition("="))
    if not written or (equals and not reading) or len(entry) > LONGEST:
        raise ConfigError(
            f'"{entry[:LONGEST]}" is no term: write "term" or "term=reading", of up to {LONGEST} characters'
        )
    if any(not _is_kana(character) for character in reading):
        raise ConfigError(f'"{entry}": the reading of a term is written in kana')
    return written, reading


def _is_kana(character: str) -> bool:
    return "ぁ" <= character <= "ゖ" or "ァ" <= character <= "ー"


def _rule(entry: str) -> tuple[str, str]:
    heard, arrow, written = (part.strip() for part in entry.partition(ARROW))
    if not arrow or not heard or not written or max(len(heard), len(written)) > LONGEST:
        raise ConfigError(
            f'"{entry[:LONGEST]}" is no rule: write "heard {ARROW} written", of up to {LONGEST} characters each'
        )
    return heard, written
