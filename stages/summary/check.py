"""Whether a sentence of a summary stands in the lines that it names; no I/O.

The model names the lines of each sentence. They have to exist; each figure, date and name of the sentence has to be in
them, most of its other words, and what it ends with where it is Japanese. Who does it and until when stand there as
they are said, or are left out.

That refuses what a model adds by itself and what it ascribes to the wrong lines. It can't see what only the sense
tells: a negation left out, a proposal told as a decision, two people of one line exchanged, a condition dropped.
"""

import re
from collections.abc import Sequence

from msgspec.structs import replace

from ipc.summary import Line, Part, Sentence
from stages.summary.request import MOST_LINES
from stages.summary.words import Read, figures, folded, is_named, names, predicate, share, stems

MOST_LETTERS = 300
LEAST_SHARE = 0.7
"""Of a sentence's words. Chosen on the examples of tests/unit/test_summary_check.py, not on a corpus."""

_TITLE = re.compile(r"(?:さん|様|氏|君|くん|先生)$")
_SIGNS = re.compile(r"[\W_]+")


def part(answered: Sequence[Sentence], lines: Sequence[Line], shown: range, read: Read) -> Part:
    """Those that stand. lines: of the whole transcript. shown: numbers of those that the model was shown."""
    judged = [standing(sentence, lines, shown, read) for sentence in answered]
    kept = tuple(sentence for sentence in judged if sentence is not None)
    return Part(distinct(kept), len(judged) - len(kept))


def standing(sentence: Sentence, lines: Sequence[Line], shown: range, read: Read) -> Sentence | None:
    """As far as it stands in its lines; None where it does not. shown: see `part`."""
    numbers = tuple(sorted({number for number in sentence.lines if number in shown}))
    text = " ".join(sentence.text.split())
    if not numbers or len(numbers) > MOST_LINES or not text.isprintable() or len(text) > MOST_LETTERS:
        return None
    said = "\n".join(f"{lines[number - 1].speaker or ''}: {lines[number - 1].text}" for number in numbers)
    if not _stands(text, said, read):
        return None
    is_task = sentence.kind == "task"
    who = _who(sentence.who, said) if is_task else ""
    until = _until(sentence.until, said, read) if is_task else ""
    return Sentence(sentence.kind, text, numbers, who, until)


def distinct(sentences: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """Of those with one text the first, with the lines of all."""
    found: dict[tuple[str, str], Sentence] = {}
    for sentence in sentences:
        key = sentence.kind, _bare(sentence.text)
        found[key] = joined(found[key], sentence) if key in found else sentence
    return tuple(found.values())


def joined(sentence: Sentence, other: Sentence) -> Sentence:
    """It stands on the other's lines, too."""
    return replace(sentence, lines=tuple(sorted({*sentence.lines, *other.lines})))


def _stands(text: str, said: str, read: Read) -> bool:
    if not _facts_stand(text, said, read) or predicate(text) not in folded(said):
        return False
    called = names(text, read)
    words = {stem for stem in stems(text) if not any(stem in name for name in called)}
    return share(words or stems(text), said) >= LEAST_SHARE


def _facts_stand(text: str, said: str, read: Read) -> bool:
    return figures(text, read) <= figures(said, read) and all(is_named(name, said) for name in names(text, read))


def _who(who: str, said: str) -> str:
    name = _TITLE.sub("", who.strip())
    if not name or not name.isprintable():
        return ""
    return who.strip() if is_named(folded(name), said) else ""


def _until(until: str, said: str, read: Read) -> str:
    date = until.strip()
    if not _bare(date) or not date.isprintable():
        return ""
    return date if _bare(date) in _bare(said) and _facts_stand(date, said, read) else ""


def _bare(text: str) -> str:
    return _SIGNS.sub("", folded(text))
