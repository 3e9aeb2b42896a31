"""What several parts of a meeting say, put together; no I/O but by who is asked.

The model only says which sentences say nothing beside another one. No text is made anew, so nothing can be invented;
and what it says is believed where the other sentence really has the figures, the doer, the date and some of the words.
"""

from collections.abc import Callable, Sequence

from ipc.summary import Sentence
from stages.summary.check import distinct, joined
from stages.summary.request import Repeated
from stages.summary.words import Read, figures, share, stems

LEAST_SHARE = 0.3
"""Of a sentence's words that are in the one that repeats it. Chosen on the examples of the tests."""

Ask = Callable[[Sequence[Sentence]], list[Repeated]]
"""Which of them are repeated by which; numbers from 1."""
Cut = Callable[[Sequence[Sentence]], list[range]]
"""Numbers of those that can be asked about together."""


def merged(sentences: Sequence[Sentence], cut: Cut, ask: Ask, read: Read) -> tuple[Sentence, ...]:
    """Again and again while they don't fit into one question and become fewer."""
    found = distinct(sentences)
    while True:
        groups = [[found[number - 1] for number in group] for group in cut(found)]
        fewer = tuple(left for group in groups for left in without_repeated(group, ask(group), read))
        if len(groups) <= 1 or len(fewer) == len(found):
            return fewer
        found = fewer


def without_repeated(sentences: Sequence[Sentence], repeated: Sequence[Repeated], read: Read) -> list[Sentence]:
    """The others, with the lines of those that they repeat."""
    left = dict(enumerate(sentences, 1))
    for pair in repeated:
        if pair.sentence == pair.by or pair.sentence not in left or pair.by not in left:
            continue
        if says_nothing_beside(left[pair.sentence], left[pair.by], read):
            left[pair.by] = joined(left[pair.by], left.pop(pair.sentence))
    return list(left.values())


def says_nothing_beside(sentence: Sentence, other: Sentence, read: Read) -> bool:
    whole = " ".join((other.text, other.who, other.until))
    return (
        figures(" ".join((sentence.text, sentence.until)), read) <= figures(whole, read)
        and (not sentence.who or sentence.who in whole)
        and share(stems(sentence.text), whole) >= LEAST_SHARE
    )
