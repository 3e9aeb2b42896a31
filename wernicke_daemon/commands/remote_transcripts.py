"""Transcripts that a daemon on another machine has kept, read over HTTP (docs/http.md)."""

import argparse
import time
from collections.abc import Callable
from typing import Any

import msgspec

from wernicke_daemon.client import Exit
from wernicke_daemon.client.connecting import ClientError
from wernicke_daemon.commands import asking
from wernicke_daemon.records.search import Found
from wernicke_daemon.records.stored_summaries import Summary
from wernicke_daemon.records.transcript_file import NoTranscript

SUMMARY_LOOK_S = 1.0
"""Between two looks at a summary that is made."""

WITHIN_S = 120.0
"""For a long transcript as a document."""

A_PAGE = 200
"""Sessions asked for at a time."""


def sessions(args: argparse.Namespace) -> list[dict[str, Any]]:
    """All, the latest first, as /sessions has them. args: of `options.add_remote`, with a url. Raises ClientError,
    TlsError."""
    base, found = _pages(args), list[dict[str, Any]]()
    query = {"limit": str(A_PAGE)}
    while True:
        page = _json(args, f"{base}/sessions", query, dict[str, Any])
        found += page["sessions"]
        if page["next"] is None:
            return found
        query["before"] = page["next"]


def export(args: argparse.Namespace, session: str, ending: str) -> bytes:
    """One transcript in a format. Raises NoTranscript, ClientError, TlsError."""
    answer = asking.get(args, f"{_pages(args)}/sessions/{_checked(session)}.{ending}", timeout_s=WITHIN_S)
    if answer.status_code != 200:
        raise NoTranscript(_sentence(args, answer))
    return answer.content


def search(args: argparse.Namespace, query: str, limit: int) -> Found:
    """As `records.search.search`. Raises NoTranscript, ClientError, TlsError."""
    return _json(args, f"{_pages(args)}/search", {"q": query, "limit": str(limit)}, Found)


class Progress(msgspec.Struct, frozen=True):
    """Of a summary that is made; as the pages say it."""

    step: str
    done: int = 0
    of: int = 0


class SummaryState(msgspec.Struct, frozen=True):
    """As /sessions/ID/summary has it."""

    session: str
    summary: Summary | None
    outdated: bool
    making: Progress | None
    problem: str | None


def summary(args: argparse.Namespace, session: str, anew: bool, told: Callable[[Progress], None]) -> SummaryState:
    """The one that is kept; where there is none, or another one is wanted, a new one, once it is there. anew: another
    one is wanted. told: how far that is. Raises NoTranscript, ClientError, TlsError."""
    base = _pages(args)
    state = _json(args, f"{base}/sessions/{_checked(session)}/summary", {}, SummaryState)
    address = f"{base}/sessions/{state.session}/summary"  # which may not be the last one for long
    if state.summary is not None and not anew and state.making is None:
        return state
    state = _decoded(args, asking.post(args, address), SummaryState)
    while state.making is not None:
        told(state.making)
        time.sleep(SUMMARY_LOOK_S)
        state = _json(args, address, {}, SummaryState)
    if state.problem is not None:
        raise NoTranscript(state.problem)
    if state.summary is None:
        raise NoTranscript("The making of the summary was cancelled.")
    return state


def _json(args: argparse.Namespace, address: str, query: dict[str, str], kind: type[asking.T]) -> asking.T:
    return _decoded(args, asking.get(args, address, query), kind)


def _decoded(args: argparse.Namespace, answer: Any, kind: type[asking.T]) -> asking.T:
    if answer.status_code != 200:
        raise NoTranscript(_sentence(args, answer))
    return asking.decoded(args.url, answer, kind)


def _checked(session: str) -> str:
    """As part of an address. Raises NoTranscript."""
    if not (session.isascii() and session.isalnum()):
        raise NoTranscript(f"There is no session {session}; `wernicke sessions` lists them.")
    return session


def _pages(args: argparse.Namespace) -> str:
    """Where the pages are: the port that takes speech says it."""
    answer = asking.get(args, asking.page_address(args.url, ""))
    if answer.status_code == 307:
        return str(answer.headers.get("Location", "")).rstrip("/")
    if answer.status_code == 404:
        raise ClientError(_sentence(args, answer), Exit.UNREACHABLE)
    return asking.page_address(args.url, "").rstrip("/")


def _sentence(args: argparse.Namespace, answer: Any) -> str:
    return str(asking.decoded(args.url, answer, dict[str, Any]).get("error") or f"HTTP {answer.status_code}")
