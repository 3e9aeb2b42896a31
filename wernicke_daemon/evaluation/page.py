"""An HTML page on which the worst utterances are read side by side with what was said, and played. Nothing of it is
loaded from elsewhere: the sounds are within it."""

import base64
import html
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from ipc.audio_handle import SAMPLE_RATE
from wernicke_daemon.evaluation.worst import Both, Compared
from wernicke_daemon.formats.subtitles import clock

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 95rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .3rem .8rem; border-bottom: 1px solid #ddd;
text-align: left; vertical-align: top } .said del { background: #fdd; text-decoration: none } .heard ins {
background: #dfd; text-decoration: none } pre { white-space: pre-wrap; font: inherit; margin: 0 }
audio { width: 15rem } .dim { color: #777 }
"""


class Shown(NamedTuple):
    """recording: its name. sound: mono, float32 from -1 to 1, at SAMPLE_RATE. otherwise: its text with the
    settings that these are compared with, if there are any."""

    recording: str
    utterance: Compared
    sound: NDArray[np.float32]
    otherwise: tuple[str, ...] = ()


def page(title: str, table: Sequence[Sequence[str]], notes: Iterable[str], shown: Iterable[Shown], gap: str) -> str:
    """table: of the figures, with the names of the settings in its first row. gap: between units: "" for characters,
    " " for words."""
    texts = "".join(f"<th>as a client gets it, {html.escape(name)}" for name in table[0][1:3])
    rows = "".join(_row(one, gap) for one in shown)
    remarks = "".join(f"<p class=dim>{html.escape(note)}</p>" for note in notes)
    return (
        f"<!doctype html><html><meta charset=utf-8><title>{html.escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{html.escape(title)}</h1>{_table(table)}{remarks}"
        f"<h2>The worst utterances</h2><table><tr><th>where<th>said<th>heard{texts}</tr>"
        f"{rows}</table></html>\n"
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *rest = rows
    lines = ["".join(f"<th>{html.escape(cell)}" for cell in head)]
    lines += ["".join(f"<td>{html.escape(cell)}" for cell in row) for row in rest]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _row(one: Shown, gap: str) -> str:
    utterance = one.utterance
    sound = base64.b64encode(flac(one.sound)).decode("ascii")
    texts = "".join(f"<td><pre>{html.escape(text)}</pre>" for text in (utterance.text, *one.otherwise))
    where = (
        f"{html.escape(one.recording)}<br>{clock(utterance.start)}–{clock(utterance.end)}, {utterance.errors} errors"
    )
    return (
        f'<tr><td>{where}<br><audio controls preload=none src="data:audio/flac;base64,{sound}"></audio>'
        f"<td class=said>{_marked(utterance.pairs, lambda pair: pair.said, 'del', gap)}"
        f"<td class=heard>{_marked(utterance.pairs, lambda pair: pair.heard, 'ins', gap)}"
        f"{texts}</tr>"
    )


def _marked(pairs: Sequence[Both], side: Callable[[Both], str], tag: str, gap: str) -> str:
    """One side, with what the other does not have marked."""

    def runs() -> Iterator[str]:
        for equal, run in groupby(pairs, lambda pair: pair.said == pair.heard):
            text = html.escape(gap.join(filter(None, map(side, run))))
            if text:
                yield text if equal else f"<{tag}>{text}</{tag}>"

    return gap.join(runs())


def flac(sound: NDArray[np.float32]) -> bytes:
    """16 bits, at SAMPLE_RATE."""
    out = io.BytesIO()
    samples = np.rint(np.clip(sound, -1, 1) * 32767).astype(np.int16)
    with av.open(out, "w", format="flac") as file:
        stream = file.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        if len(samples):
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate = SAMPLE_RATE
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()
