"""Long transcripts in parts that fit into the model's context; no I/O.

Tokens are estimated on the safe side, as for correction (`fitting`).
"""

import math
from collections.abc import Iterable, Sequence

from ipc.summary import Line, Sentence
from stages.correction import fitting
from stages.summary import request
from stages.summary.request import ANSWER_TOKENS, SummaryPrompt

AROUND = 6
"""Tokens for quotes, a comma and a blank in a list."""
LEAST_ROOM = 600
"""Tokens for what is asked about: an utterance of half a minute has fewer."""


def of_lines(prompt: SummaryPrompt, lines: Sequence[Line], num_ctx: int) -> list[range]:
    """Numbers of the lines that go together, in order, each part as long as there is room. num_ctx: tokens."""
    costs = [_tokens(request.line_text(number, line)) for number, line in enumerate(lines, 1)]
    return _grouped(costs, num_ctx - fitting.prompt_tokens(request.about_lines(prompt, lines, range(0))))


def of_sentences(prompt: SummaryPrompt, sentences: Sequence[Sentence], num_ctx: int) -> list[range]:
    """Likewise, of sentences that are to be put together."""
    costs = [_tokens(request.sentence_text(number, sentence)) for number, sentence in enumerate(sentences, 1)]
    return _grouped(costs, num_ctx - fitting.prompt_tokens(request.about_sentences(prompt, [])))


def least_context(prompt: SummaryPrompt) -> int:
    """Tokens of context without which there is no room beside the prompt."""
    asked = (request.about_lines(prompt, (), range(0)), request.about_sentences(prompt, ()))
    return max(map(fitting.prompt_tokens, asked)) + LEAST_ROOM + ANSWER_TOKENS


def halves(part: range) -> list[range]:
    """Of two or more."""
    middle = (part.start + part.stop) // 2
    return [range(part.start, middle), range(middle, part.stop)]


def _grouped(costs: Iterable[float], room: float) -> list[range]:
    """room: with that of the answer."""
    found: list[range] = []
    left = 0.0
    for number, cost in enumerate(costs, 1):
        if found and cost <= left:
            found[-1] = range(found[-1].start, number + 1)
        else:
            found.append(range(number, number + 1))
            left = room - ANSWER_TOKENS
        left -= cost
    return found


def _tokens(text: str) -> float:
    return math.ceil(fitting.tokens(text)) + AROUND
