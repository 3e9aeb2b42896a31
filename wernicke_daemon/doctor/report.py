"""All that helps where something goes wrong, as one text that may be handed on. Pure: `surroundings` looks it up."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from wernicke_daemon.config.listing import leaves
from wernicke_daemon.doctor.checks import Check
from wernicke_daemon.doctor.log_summary import Kind, Seen
from wernicke_daemon.doctor.private import MARK, Private, redacted
from wernicke_daemon.observability.pages import Health, Stats

_PREFACE = f"""A report on a Wernicke daemon, for whoever helps with it. {MARK} stands for names, folders, tokens and
addresses; nothing that was said is in it. It was looked through by a program: read it before you hand it on."""

_KINDS: dict[str, Any] = {"health": Health, "stats": Stats}


class Found(NamedTuple):
    """machine, packages, settings: each with its value. pages: /health and /stats by name, or why there is none.
    priorities: of stages' processes. log: of `log_summary.summary`, or why there is none."""

    written: str  # date and time, UTC
    machine: Sequence[tuple[str, str]]
    packages: Sequence[tuple[str, str]]
    checks: Sequence[Check]
    settings: Sequence[tuple[str, str]]
    pages: Mapping[str, dict[str, Any] | str]
    priorities: Mapping[str, str]
    log: Mapping[Kind, Seen] | str


def text(found: Found, private: Private) -> str:
    """Each line of what was found has gone through `redacted`."""
    parts = {
        "machine": _rows([("written", found.written), *found.machine]),
        "packages": _rows(found.packages),
        "checks": _checks(found.checks),
        "settings": _rows(found.settings),
        "daemon": _daemon(found),
        "log": _log(found.log),
    }
    blocks = [_PREFACE]
    for title, lines in parts.items():
        blocks.append("\n".join([f"== {title} ==", *(redacted(line, private) for line in lines)]))
    return "\n\n".join(blocks) + "\n"


def _rows(rows: Iterable[tuple[str, Any]]) -> Iterator[str]:
    return (f"{name}: {value}" for name, value in rows)


def _checks(checks: Sequence[Check]) -> Iterator[str]:
    for check in checks:
        yield f"{'ok' if check.ok else 'NO'} {check.name}: {check.finding}"
        if check.fix:
            yield f"-- {check.name}, to do: {check.fix}"


def _daemon(found: Found) -> Iterator[str]:
    for name, page in found.pages.items():
        if isinstance(page, str):
            yield f"{name}: {page}"
        else:
            yield from _rows((f"{name} {path}", value) for path, value in leaves(_known(name, page)))
    yield from _rows((f"priority of {stage}", priority) for stage, priority in found.priorities.items())


def _known(name: str, page: dict[str, Any]) -> dict[str, Any]:
    """Those of its fields that this version knows. Of sessions how many there are, as their names open transcripts."""
    try:
        known: dict[str, Any] = msgspec.to_builtins(msgspec.convert(page, _KINDS[name]))
    except msgspec.ValidationError:
        return {"is": "none that this version knows"}
    return known | ({"sessions": len(known["sessions"])} if "sessions" in known else {})


def _log(log: Mapping[Kind, Seen] | str) -> Iterator[str]:
    if isinstance(log, str):
        yield log
        return
    for kind, seen in log.items():
        numbers = ", ".join(f"{name}={value}" for name, value in seen.numbers.items())
        yield f"{seen.times} x {' '.join(filter(None, kind))}, last {seen.last} {numbers}"
