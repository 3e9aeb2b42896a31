"""What a request asks for: a page, a session, or something that is refused, and why."""

from typing import Any

import pytest
from msgspec.structs import replace
from websockets.datastructures import Headers

from wernicke_daemon.config.schema import Config, SecuritySettings
from wernicke_daemon.gateway import access, http_request
from wernicke_daemon.gateway.access import Refusal, Verdict
from wernicke_daemon.gateway.http_request import HomeRequest, PageRequest, SessionRequest
from wernicke_daemon.wire import tokens

TOKEN = tokens.new_token()
OPEN = Config()
CLOSED = replace(OPEN, security=SecuritySettings(clients=(tokens.hash_of(TOKEN),)))
BEARER = Headers({"Authorization": f"Bearer {TOKEN}"})
WRONG = Headers({"Authorization": "Bearer wrong"})
NONE = Headers()


def status_and_code(asked: Any) -> tuple[int, str | None]:
    assert isinstance(asked, Refusal) and asked.message
    return asked.status, asked.code


def test_a_session_has_the_options_of_its_address_and_those_configured() -> None:
    """Names that are not known are left to proxies and newer clients."""
    asked = http_request.read("GET", "/transcribe?channels=2&events=session,ack&session=x&what=else", NONE, OPEN)
    assert isinstance(asked, SessionRequest)
    assert (asked.start.session, asked.options.events) == ("x", {"session", "ack"})
    assert asked.options.audio == replace(OPEN.audio.format, channels=2)
    assert asked.options.language == OPEN.asr.language


@pytest.mark.parametrize("page", ["/health", "/stats"])
def test_pages_are_shown_in_full_to_those_who_may(page: str) -> None:
    """To all where no tokens are configured, whatever stands in the query."""
    assert http_request.read("GET", f"{page}?sample_rate=x", NONE, OPEN) == PageRequest(page, in_full=True)
    assert http_request.read("GET", page, BEARER, CLOSED) == PageRequest(page, in_full=True)


@pytest.mark.parametrize("headers", [NONE, WRONG])
def test_without_a_token_there_is_only_part_of_health(headers: Headers) -> None:
    assert http_request.read("GET", "/health", headers, CLOSED) == PageRequest("/health", in_full=False)
    assert http_request.read("GET", "/stats", headers, CLOSED) == access.REFUSALS[Verdict.REFUSED_TOKEN]


@pytest.mark.parametrize(("headers", "needs"), [(NONE, True), (BEARER, False)])
def test_whoever_brings_no_token_needs_one_in_the_first_message(headers: Headers, needs: bool) -> None:
    asked = http_request.read("GET", "/transcribe", headers, CLOSED)
    assert isinstance(asked, SessionRequest)
    assert asked.needs_token == needs


def test_who_may_not_have_a_session_is_told_so_before_anything_else() -> None:
    """Not what is wrong with the address."""
    path = "/transcribe?sample_rate=x"
    assert http_request.read("GET", path, WRONG, CLOSED) == access.REFUSALS[Verdict.REFUSED_TOKEN]
    foreign = Headers({"Origin": "https://page.example"})
    assert http_request.read("GET", path, foreign, OPEN) == access.REFUSALS[Verdict.REFUSED_ORIGIN]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("//[x]/", (400, None)),
        ("/elsewhere", (404, None)),
        ("/transcribe/", (404, None)),
        ("/transcribe?sample_rate=x", (400, "INVALID_MESSAGE")),
        ("/transcribe?events=x", (400, "INVALID_MESSAGE")),
        ("/transcribe?sample_rate=1", (400, "INVALID_AUDIO_FORMAT")),
    ],
)
def test_what_is_not_understood_is_refused(path: str, expected: tuple[int, str | None]) -> None:
    """Also of those who would have to bring a token in the first message."""
    for config in (OPEN, CLOSED):
        assert status_and_code(http_request.read("GET", path, NONE, config)) == expected


def test_what_there_is_is_said_where_there_is_nothing() -> None:
    asked = http_request.read("GET", "/metrics", NONE, OPEN)
    assert isinstance(asked, Refusal)
    assert all(path in asked.message for path in ("/transcribe", "/health", "/stats"))


@pytest.mark.parametrize(
    ("host", "called"),
    [("pc.local:8000", "pc.local"), ("[::1]:8000", "[::1]"), ("a b", ""), ("evil/..", ""), (None, "")],
)
def test_the_way_to_the_pages_is_by_the_name_that_was_asked(host: str | None, called: str) -> None:
    """Nothing but a name or an address gets into the answer."""
    headers = Headers({} if host is None else {"Host": host})
    assert http_request.read("GET", "/", headers, OPEN) == HomeRequest(called)
