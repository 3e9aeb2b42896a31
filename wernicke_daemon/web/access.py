"""Who may see and do what: a token in the header for programs, a cookie for people who have logged in with one.

The cookie says that whoever has it brought a known token, until when, and which; it is signed, so that nothing need be
remembered: a web process that was killed knows it again, and so does the next run of the daemon. A token that is taken
out of config.toml lets nobody in, nor does its cookie. Where security.clients is empty everybody may.
"""

import hashlib
import hmac
import time
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.requests import HTTPConnection
from starlette.responses import Response

from wernicke_daemon.web.setup import Setup
from wernicke_daemon.wire import tokens

LASTS_S = 30 * 24 * 3600
"""Seconds that a login lasts."""

NEEDED = "A token that this daemon knows is needed: log in, or send it in the header Authorization: Bearer TOKEN."


class LoginNeeded(HTTPException):
    """Nobody who is known. A page shows the login, a program gets 401."""

    def __init__(self) -> None:
        super().__init__(401, NEEDED, headers={"WWW-Authenticate": "Bearer"})


def require(connection: HTTPConnection) -> None:
    """A dependency of every router but the login's. Raises LoginNeeded."""
    if not is_allowed(connection):
        raise LoginNeeded


Allowed = Annotated[None, Depends(require)]


def is_allowed(connection: HTTPConnection) -> bool:
    """By header, which alone counts where there is one, or by cookie. Whoever is stays connected."""
    allowed = _is_allowed(connection)
    if allowed and connection.client is not None:
        connection.app.state.let_in(tuple(connection.client))
    return allowed


def _is_allowed(connection: HTTPConnection) -> bool:
    setup: Setup = connection.app.state.setup
    if not setup.needs_login:
        return True
    given = connection.headers.getlist("authorization")
    if given:
        scheme, _, token = given[0].partition(" ")
        bearer = len(given) == 1 and scheme.lower() == "bearer"
        return bearer and tokens.is_known(token.strip(), setup.config.security.clients)
    return is_valid(connection.cookies.get(cookie_name(setup), ""), setup, time.time())


def knows(token: str, setup: Setup) -> bool:
    """Of programs that bring it in a way of their own; any will do where none is needed."""
    return not setup.needs_login or tokens.is_known(token, setup.config.security.clients)


def cookie_name(setup: Setup) -> str:
    """Browsers share cookies among the ports of a host."""
    return f"wernicke-{setup.port}"


def new_cookie(token: str, setup: Setup, now: float) -> str:
    """For one that is known. now: seconds since 1970."""
    return _signed(round(now) + LASTS_S, tokens.hash_of(token), setup)


def is_valid(cookie: str, setup: Setup, now: float) -> bool:
    ends = cookie.partition(".")[0]
    if not (ends.isascii() and ends.isdecimal() and len(ends) < 15) or int(ends) < now:
        return False
    valid = False
    for client in setup.config.security.clients:
        valid |= hmac.compare_digest(cookie.encode(), _signed(int(ends), client, setup).encode())
    return valid


def set_cookie(response: Response, value: str, setup: Setup) -> None:
    """value: empty logs out."""
    response.set_cookie(
        cookie_name(setup),
        value,
        max_age=LASTS_S if value else 0,
        httponly=True,
        samesite="strict",
        secure=setup.config.tls_files is not None,
    )


def _signed(ends: int, client: str, setup: Setup) -> str:
    """client: the hash of a token."""
    seal = hmac.new(setup.secret.encode(), f"{ends} {client}".encode(), hashlib.sha256)
    return f"{ends}.{seal.hexdigest()}"
