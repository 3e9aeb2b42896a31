"""One summary from its lines: part after part, then put together, each step told.

No trouble with the model goes further than a `Failed` with a sentence; a part whose answer can't be used is asked
again in smaller ones first.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from ipc.errors import EngineUnavailable
from ipc.summary import Failed, Line, Loading, Made, Merging, Message, Part, PartDone, Reading, Sentence, Work
from stages.correction import prompt_files
from stages.correction.ollama_server import ModelServer, reason
from stages.correction.request import ChatMessage, InvalidAnswer
from stages.phonetics.readings import Reader
from stages.summary import check, merging, parts, request
from stages.summary.request import Repeated, SummaryPrompt

PACKAGED = Path(__file__).with_name("prompts")

Tell = Callable[[Message], None]

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def run(work: Work, tell: Tell) -> None:
    server = ModelServer(work.llm, keep_alive=None, instead="")
    try:
        Summary(work, server, tell).make()
    except EngineUnavailable as error:
        tell(Failed(_sentence(str(error))))
    except InvalidAnswer as error:
        tell(
            Failed(f"The model {work.llm.model} gave no answer that can be used ({error}): try again, or another one.")
        )
    except Exception as error:  # whatever the client raises
        tell(Failed(f"Ollama could not run the model {work.llm.model} ({reason(error)}): see its log, and try again."))
    finally:
        server.close()


class Summary:
    """The making of one."""

    def __init__(self, work: Work, server: ModelServer, tell: Tell) -> None:
        self._work = work
        self._server = server
        self._tell = tell
        self._read = Reader()
        self._prompt = _prompt(work)

    def make(self) -> None:
        """Raises EngineUnavailable, InvalidAnswer, and whatever the client raises."""
        self._tell(Loading())
        self._server.connect(0.0)
        self._server.load_model()
        found = self._parts()
        sentences = [sentence for part in found for sentence in part.sentences]
        whole = self._merged(sentences) if len(found) > 1 else tuple(sentences)
        in_order = sorted(whole, key=lambda sentence: sentence.lines)
        self._tell(Made(tuple(in_order), sum(part.dropped for part in found)))

    def _parts(self) -> list[Part]:
        """Those that are done already, and the others."""
        found, shown = list(self._work.done), parts.of_lines(self._prompt, self._lines, self._work.llm.num_ctx)
        for part in shown[len(found) :]:
            self._tell(Reading(len(found), len(shown)))
            found.append(self._part(part))
            self._tell(PartDone(found[-1]))
        return found

    def _part(self, shown: range) -> Part:
        """Asked again in halves, down to a line, where the answer can't be used: it may have been cut off."""
        try:
            return self._asked(shown)
        except InvalidAnswer as error:
            if len(shown) == 1:
                raise
            log.warning("summary_answer_invalid", reason=str(error))
        halves = [self._part(half) for half in parts.halves(shown)]
        sentences = tuple(sentence for half in halves for sentence in half.sentences)
        return Part(check.distinct(sentences), sum(half.dropped for half in halves))

    def _asked(self, shown: range) -> Part:
        chat = request.about_lines(self._prompt, self._lines, shown)
        answer = request.read_sentences(self._answer(chat, request.sentences_format()))
        return check.part(answer, self._lines, shown, self._read)

    def _merged(self, sentences: Sequence[Sentence]) -> Sequence[Sentence]:
        self._tell(Merging())
        num_ctx = self._work.llm.num_ctx
        return merging.merged(
            sentences, lambda some: parts.of_sentences(self._prompt, some, num_ctx), self._repeated, self._read
        )

    def _repeated(self, sentences: Sequence[Sentence]) -> list[Repeated]:
        """None where that can't be had: the sentences stand without it, too."""
        chat = request.about_sentences(self._prompt, sentences)
        try:
            return request.read_repeated(self._answer(chat, request.repeated_format(len(sentences))))
        except Exception as error:
            why = str(error) if isinstance(error, InvalidAnswer) else reason(error)
            log.warning("summary_not_merged", reason=why)
            return []

    def _answer(self, chat: list[ChatMessage], answer_format: dict[str, object]) -> str:
        response = self._server.chat(chat, answer_format, request.ANSWER_TOKENS)
        if response.done_reason == "length":
            raise InvalidAnswer("the answer was cut off at its longest permitted length")
        return response.message.content or ""

    @property
    def _lines(self) -> Sequence[Line]:
        return self._work.lines


def _prompt(work: Work) -> SummaryPrompt:
    """Raises EngineUnavailable."""
    prompts = prompt_files.load_all(work.prompts, "summary.prompts", PACKAGED, SummaryPrompt)
    prompt = prompt_files.for_language(prompts, work.language)
    least = parts.least_context(prompt)
    if work.llm.num_ctx < least:
        raise EngineUnavailable(
            f"llm.num_ctx has no room for what the model is told about a summary and its answer: set it to {least} or "
            f"more, got {work.llm.num_ctx}, or shorten the prompt file (summary.prompts)"
        )
    return prompt


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
