"""Terms in a prompt. Pure.

For some of OpenAI's models a prompt is a list of words that will be heard, for others it is a text, which nothing is
made of here.
"""

import re

LONGEST_TERM = 40
MOST_WORDS = 4


def terms(prompt: str) -> list[str]:
    """Of a prompt that is a list of them, with or without a word such as `Keywords:` before it; else none."""
    listed = re.sub(r"^\s*\w+\s*[:：]", "", prompt)
    found = [term for each in re.split(r"[,、，;；\n]", listed) if (term := each.strip())]
    return found if all(map(_is_term, found)) else []


def _is_term(text: str) -> bool:
    short = len(text) <= LONGEST_TERM and len(text.split()) <= MOST_WORDS
    return short and not re.search(r"[.。!！?？]$", text)
