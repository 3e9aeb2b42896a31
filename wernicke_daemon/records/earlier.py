"""What is kept of a session for another that goes on for it, once it is too late to come back to it."""

import hashlib
from typing import NamedTuple

import msgspec

from wernicke_daemon.utterances.voices import Known


class EarlierSession(msgspec.Struct, frozen=True):
    """resume_key: of its client, see `Resume`; None where nobody has one. heard: of its voices."""

    id: str
    resume_key: str | None
    heard: Known


class Resume(NamedTuple):
    """Who may come back to a session, and what it came back to itself. token: its client's secret, of which only the
    `resume_key` is kept. continues: id of the session that it goes on for."""

    token: str
    continues: str | None

    @property
    def key(self) -> str:
        return resume_key(self.token)


def resume_key(token: str) -> str:
    """SHA-256, hexadecimal: tokens are random and long, so that a plain hash tells nothing of them."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
