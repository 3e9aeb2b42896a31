"""How long does a search over a thousand hours of transcripts take, how long the opening of a long one, and what does
the index cost?

    python benchmarks/search.py [--hours 1000] [--searches 200] [--quick] [--json FILE]

Transcripts are made up: words of two to four characters, as frequent as words of languages are (Zipf), between Japanese
particles, with a little English; an utterance of about 50 characters each 10 s. They are indexed as the daemon does it,
without the rests between steps. Searches are drawn anew each: frequent and rare words, parts of sentences, one and two
characters, what is not there, two terms, English. Timed is all of `records.search.search`, files opened and hits with
their surroundings read included, and of pages all of the web process's work.
"""

import argparse
import itertools
import json
import random
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from starlette.testclient import TestClient

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import report
from benchmarks.report import Figure
from wernicke_daemon.config.schema import Config, RuntimeSettings
from wernicke_daemon.records import search, search_index, transcript_file
from wernicke_daemon.web.app import create_app
from wernicke_daemon.web.setup import Setup

HOURS = 1000
UTTERANCE_S = 10.0
LONG_H = 10
PAGES = 10
QUICK_HOURS, QUICK_SEARCHES = 10, 40

MOST_SEARCH_MS = 200.0
MOST_OPENING_MS = 1000.0

_KANA = "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわ"
_BETWEEN = (
    "は",
    "が",
    "を",
    "に",
    "の",
    "で",
    "と",
    "です",
    "ます",
    "ました",
    "という",
    "ですね",
    "と思います",
    "ので",
)
_ENGLISH = ("meeting", "project", "deadline", "Wernicke", "review", "budget")


class Words:
    """The same each time."""

    def __init__(self) -> None:
        self.random = random.Random(1)
        kanji = [chr(code) for code in self.random.sample(range(0x4E00, 0x9F00), 2000)]
        self.all = ["".join(self.random.choices(kanji, k=2)) for _ in range(20_000)]
        self.all += ["".join(self.random.choices(_KANA, k=self.random.randint(2, 4))) for _ in range(10_000)]
        self.random.shuffle(self.all)
        self.all[500:500] = _ENGLISH
        self._weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(len(self.all))))

    def sentence(self) -> str:
        words = self.random.choices(self.all, cum_weights=self._weights, k=13)
        return "".join(word + between for word, between in zip(words, self.random.choices(_BETWEEN, k=13), strict=True))

    def queries(self) -> dict[str, Callable[[], str]]:
        pick = self.random
        return {
            "frequent word": lambda: pick.choice(self.all[:100]) + pick.choice(_BETWEEN),
            "rare word": lambda: pick.choice(self.all[5000:]) + pick.choice(_BETWEEN),
            "part of a sentence": lambda: self.sentence()[5:12],
            "two characters": lambda: pick.choice(self.all)[:2],
            "one character": lambda: pick.choice(pick.choice(self.all)),
            "not there": lambda: "".join(pick.choices("鬱麤龘" + _KANA, k=pick.randint(2, 6))),
            "two terms": lambda: f"{pick.choice(self.all[:300])} {pick.choice(self.all[:300])}",
            "English": lambda: pick.choice(_ENGLISH),
        }


def message(text: str, number: int, words: bool) -> str:
    """A final."""
    speaker = f"Speaker_{number % 4:02}"
    segment = {"start": 0.2, "end": 9.1, "text": text, "speaker": speaker, "corrected": False, "original_text": None}
    if words:
        timed = [{"start": 0.2, "end": 0.4, "word": letter, "score": 0.97, "speaker": speaker} for letter in text]
        segment["words"] = timed
    begin = number * UTTERANCE_S
    final = {
        "type": "final",
        "session_id": "s",
        "sequence": number,
        "segments": [segment],
        "timestamp_range": {"start": begin, "end": begin + UTTERANCE_S},
        "wall_start": "2026-01-01T03:00:12.480Z",
        "language": "ja",
    }
    return json.dumps(final, ensure_ascii=False)


def fill(database: sqlite3.Connection, words: Words, hours: int) -> None:
    """An hour each session; the last one has LONG_H, and times of words."""
    insert = "INSERT INTO result (session, sequence, kept, kind, message) VALUES (?, ?, ?, 'final', ?)"
    for hour in range(hours + 1):
        session, is_long = f"{hour:016x}", hour == hours
        with database:
            database.execute("INSERT INTO session (id, begun, started) VALUES (?, ?, ?)", (session, hour, hour))
            utterances = range(1, int((LONG_H if is_long else 1) * 3600 / UTTERANCE_S) + 1)
            rows = ((session, number, hour, message(words.sentence(), number, is_long)) for number in utterances)
            database.executemany(insert, rows)


def index(path: Path, database: sqlite3.Connection) -> list[float]:
    """Milliseconds of each step."""
    made = search_index.SearchIndex(path.with_name(search_index.FILE_NAME))
    steps = list(_steps(made, database))
    made.close()
    return steps


def _steps(made: search_index.SearchIndex, database: sqlite3.Connection) -> Iterator[float]:
    more: float | None = 0.0
    while more is not None:
        begun = time.perf_counter()
        more = made.step(database)
        yield (time.perf_counter() - begun) * 1000


def searched(path: Path, words: Words, count: int) -> dict[str, list[float]]:
    """Milliseconds, by kind of search."""
    times: dict[str, list[float]] = {}
    for kind, query in words.queries().items():
        for _ in range(count):
            asked = query()
            begun = time.perf_counter()
            search.search(path, asked)
            times.setdefault(kind, []).append((time.perf_counter() - begun) * 1000)
    return times


def asked(path: Path, address: str) -> tuple[float, float]:
    """Milliseconds that a page takes, of the web process's app, without a network: the median, and of CPU time."""
    config = Config(runtime=RuntimeSettings(data_dir=str(path.parent)))
    app = create_app(Setup(config, "http://127.0.0.1:9", "127.0.0.1", 8001, "", ""))
    times = []
    with TestClient(app, base_url="http://127.0.0.1:8001") as client:
        client.get(address)  # templates are read
        used = time.process_time()
        for _ in range(PAGES):
            begun = time.perf_counter()
            client.get(address, headers={"Accept": "text/html"}).raise_for_status()
            times.append((time.perf_counter() - begun) * 1000)
        used = time.process_time() - used
    return statistics.median(times), used / PAGES * 1000


def p(share: int, times: list[float]) -> float:
    return statistics.quantiles(times, n=100, method="inclusive")[share - 1]


def main() -> None:
    options = report.parser("How long a search takes, and what the index costs.")
    options.add_argument("--hours", type=int, default=HOURS, help="of transcripts (default: %(default)s)")
    options.add_argument("--searches", type=int, default=200, help="of each kind (default: %(default)s)")
    options.add_argument("--quick", action="store_true", help="a few hours: whether it works, not how fast")
    args = options.parse_args()
    if args.quick:
        args.hours, args.searches = QUICK_HOURS, QUICK_SEARCHES
    with report.workplace() as folder:
        tell(args, folder / transcript_file.FILE_NAME)


def tell(args: argparse.Namespace, path: Path) -> None:
    words = Words()
    database = transcript_file.open_for_writing(path)
    fill(database, words, args.hours)
    steps = index(path, database)
    times = searched(path, words, args.searches)
    database.close()
    long, listed = asked(path, "/transcripts/last"), asked(path, "/transcripts")
    everything = [ms for kind in times.values() for ms in kind]
    figures = {
        "search, p95": Figure(p(95, everything), "ms", at_most=MOST_SEARCH_MS),
        "search, p50": Figure(p(50, everything), "ms"),
        **{
            f"search, {kind}, p95": Figure(p(95, of_kind), "ms", at_most=MOST_SEARCH_MS)
            for kind, of_kind in times.items()
        },
        f"page of {LONG_H} hours": Figure(long[0], "ms", at_most=MOST_OPENING_MS),
        f"page of {LONG_H} hours, CPU time": Figure(long[1], "ms"),
        "page of the list": Figure(listed[0], "ms"),
        "page of the list, CPU time": Figure(listed[1], "ms"),
        "index, all of it": Figure(sum(steps) / 1000, "s"),
        "index, step, p99": Figure(p(99, steps), "ms"),
        "index, longest step": Figure(max(steps), "ms"),
        "index": Figure(path.with_name(search_index.FILE_NAME).stat().st_size / 2**20, "MiB"),
        "transcripts": Figure(path.stat().st_size / 2**20, "MiB"),
    }
    report.show(
        f"{args.hours} hours", ("", "measured", "wanted", ""), [(name, *one.cells) for name, one in figures.items()]
    )
    report.save(args.json, {name: one.value for name, one in figures.items()} | {"hours": args.hours})


if __name__ == "__main__":
    main()
