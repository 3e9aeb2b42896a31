"""The tokens that clients bring: made, hashed, compared. Only hashes are configured, and nothing here shows a token."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable


def new_token() -> str:
    """256 random bits, 64 hexadecimal digits: no command line takes it for an option."""
    return secrets.token_hex(32)


def hash_of(token: str) -> str:
    """How a token stands in security.clients. Unsalted and fast will do: nobody can guess 256 random bits."""
    # Bytes that are no text come as lone surrogates, in headers and in JSON.
    return "sha256:" + hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def is_known(token: str, hashes: Iterable[str]) -> bool:
    """Whether it is the token of one of them; the empty one never is."""
    presented = hash_of(token)
    known = False
    for client in hashes:
        known |= hmac.compare_digest(presented, client)  # each of them, so that the time taken does not tell which
    return known and bool(token)
