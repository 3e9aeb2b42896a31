"""What listeners say while somebody else speaks, by language. Data."""

import re

_WORDS = {
    "ja": (
        "はい ハイ うん うーん ううん ん んー ええ えー え へえ へー ほう ほー ああ あー あ おお おー ね ねえ ふーん "
        "そう そうですね そうですか そうなんだ なるほど ですね ですよね 確かに たしかに"
    ),
    "en": "yeah yes yep yup uh huh mhm mm mmm mmhm hm hmm uhhuh right okay ok oh ah aha sure exactly really wow",
    "de": "ja jo mhm mm hm hmm genau okay ok ah aha ach achso oh stimmt klar richtig",
    "fr": "oui ouais hum hm mm mhm ok okay ah oh exactement voilà d'accord",
    "es": "sí si ajá aja mhm mm hm claro vale ok okay ah oh ya exacto",
    "it": "sì si mhm mm hm certo ok okay ah oh esatto già",
    "zh": "嗯 对 是 是的 哦 噢 啊 好 好的 行 没错",
    "ko": "네 예 응 음 어 아 그래 그래요 맞아 맞아요 그렇죠 그렇지",
}
"""They are told one after another, too ("yeah, right"; はいはい)."""

BACKCHANNELS = {language: frozenset(words.split()) for language, words in _WORDS.items()}

LONGEST = max(len(word) for known in BACKCHANNELS.values() for word in known)

_MARKS = re.compile(r"[^\w\s']|_")


def is_backchannel(text: str, language: str) -> bool:
    """Whether nothing but backchannels is said. Of a language without a list nothing is known: False."""
    known = BACKCHANNELS.get(language, frozenset())
    words = _MARKS.sub(" ", text.casefold()).split()
    return bool(words) and all(_of_those(word, known) for word in words)


def _of_those(word: str, known: frozenset[str]) -> bool:
    """One of them, or several with nothing between, as in scripts without blanks."""
    told = [True] + [False] * len(word)  # whether nothing else is said up to there
    for end in range(1, len(word) + 1):
        told[end] = any(told[begin] and word[begin:end] in known for begin in range(max(0, end - LONGEST), end))
    return told[-1]
