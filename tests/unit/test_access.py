"""Who may connect: decisions on headers, queries and first messages."""

import hashlib
import hmac
import json
import logging
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers

from wernicke_daemon.config.schema import SecuritySettings
from wernicke_daemon.gateway import access
from wernicke_daemon.gateway.access import Verdict
from wernicke_daemon.wire import tokens

TOKEN, OTHER = "0123456789abcdef" * 4, "fedcba9876543210" * 4
"""In the names of tests, which are the same each time."""

PAGE = "http://localhost:3000"

OPEN = SecuritySettings()
CLOSED = SecuritySettings(clients=(tokens.hash_of(OTHER), tokens.hash_of(TOKEN)), origins=(PAGE,))
WITH_QUERY = msgspec.structs.replace(CLOSED, in_query=True)


def bearer(token: str) -> Headers:
    return Headers({"Authorization": f"Bearer {token}"})


def start(**fields: Any) -> str:
    return json.dumps({"type": "start", **fields})


# --- tokens ----------------------------------------------------------------------------------------


def test_tokens_are_new_each_time_and_fit_a_header() -> None:
    """64 characters that need no quoting anywhere; no two alike."""
    made = {tokens.new_token() for _ in range(100)}
    assert len(made) == 100
    assert all(len(token) == 64 and token.isalnum() and token.isascii() for token in made)


def test_the_hash_is_what_the_settings_take() -> None:
    """The line that `wernicke token` prints is accepted by [security], anybody can compute it, any text has one."""
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    assert tokens.hash_of(TOKEN) == f"sha256:{digest}"
    assert tokens.hash_of("\udcff").startswith("sha256:")
    assert msgspec.convert({"clients": [tokens.hash_of(TOKEN)]}, SecuritySettings).clients


# --- requests --------------------------------------------------------------------------------------


def test_without_tokens_configured_everybody_is_let_in() -> None:
    """Whatever they bring."""
    assert access.request(OPEN, Headers(), {}) is Verdict.ALLOWED
    assert access.request(OPEN, bearer("anything"), {"token": "x"}) is Verdict.ALLOWED


@pytest.mark.parametrize("token", [TOKEN, OTHER])
def test_every_configured_token_is_let_in(token: str) -> None:
    """The first of the list and the last."""
    assert access.request(CLOSED, bearer(token), {}) is Verdict.ALLOWED


@pytest.mark.parametrize(
    "value",
    [
        f"bearer {TOKEN}",
        f"BEARER  {TOKEN} ",
    ],
)
def test_the_scheme_is_read_as_http_has_it(value: str) -> None:
    """In any case, with blanks around the token."""
    assert access.request(CLOSED, Headers({"authorization": value}), {}) is Verdict.ALLOWED


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Bearer wrong", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff\x80"],
)
def test_a_wrong_header_is_refused(value: str) -> None:
    """It gets no second chance in the first message."""
    assert access.request(WITH_QUERY, Headers({"Authorization": value}), {"token": TOKEN}) is Verdict.REFUSED_TOKEN


def test_two_authorizations_are_refused() -> None:
    """Even if one of them is right: a proxy before the daemon may have judged the other."""
    headers = bearer(TOKEN)
    headers["Authorization"] = "Bearer wrong"
    assert access.request(CLOSED, headers, {}) is Verdict.REFUSED_TOKEN


def test_a_token_in_the_address_counts_only_if_allowed() -> None:
    """Else it is as good as none, right or wrong."""
    assert access.request(WITH_QUERY, Headers(), {"token": TOKEN}) is Verdict.ALLOWED
    assert access.request(WITH_QUERY, Headers(), {"token": "wrong"}) is Verdict.REFUSED_TOKEN
    assert access.request(CLOSED, Headers(), {"token": TOKEN}) is Verdict.ASK_FIRST_MESSAGE


def test_a_request_without_a_token_may_bring_it_later() -> None:
    """Browsers can't set headers."""
    assert access.request(CLOSED, Headers(), {}) is Verdict.ASK_FIRST_MESSAGE


def test_an_empty_token_is_none_even_if_its_hash_is_configured() -> None:
    """`printf '' | sha256sum` in the settings lets nobody in."""
    careless = SecuritySettings(clients=(tokens.hash_of(""),))
    assert access.request(careless, bearer(""), {}) is Verdict.REFUSED_TOKEN
    assert access.first_message(careless, start(token="")) is Verdict.REFUSED_TOKEN
    assert not access.may_read_pages(careless, Headers(), {})


def test_all_hashes_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A match ends nothing early, so time does not tell which token it was, nor whether there was one."""
    compared: list[str] = []
    compare = hmac.compare_digest

    def counting(presented: str, client: str) -> bool:
        compared.append(client)
        return compare(presented, client)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    for token in (OTHER, TOKEN, "wrong"):
        access.request(CLOSED, bearer(token), {})
        assert compared == list(CLOSED.clients)
        compared.clear()


# --- origins ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", f"{PAGE}/", f"{PAGE}.evil.example", "*"])
def test_pages_that_are_not_listed_are_refused(origin: str) -> None:
    """Before their token is looked at, and also where no tokens are configured."""
    assert access.request(CLOSED, Headers({**bearer(TOKEN), "Origin": origin}), {}) is Verdict.REFUSED_ORIGIN
    assert access.request(OPEN, Headers({"Origin": origin}), {}) is Verdict.REFUSED_ORIGIN


def test_a_listed_page_needs_its_token_all_the_same() -> None:
    """A page that is listed is asked for its token in the first message."""
    page = Headers({"Origin": PAGE})
    assert access.request(CLOSED, page, {}) is Verdict.ASK_FIRST_MESSAGE
    assert access.request(SecuritySettings(origins=(PAGE,)), page, {}) is Verdict.ALLOWED


def test_a_second_origin_is_judged_too() -> None:
    """A listed one does not hide another."""
    headers = Headers({"Origin": PAGE})
    headers["Origin"] = "http://evil.example"
    assert access.request(OPEN, headers, {}) is Verdict.REFUSED_ORIGIN


# --- the first message -----------------------------------------------------------------------------


def test_a_start_message_may_bring_the_token() -> None:
    """With or without options beside it."""
    assert access.first_message(CLOSED, start(token=TOKEN)) is Verdict.ALLOWED
    assert access.first_message(CLOSED, start(sample_rate=16_000, token=OTHER, events=["all"])) is Verdict.ALLOWED


@pytest.mark.parametrize(
    "frame",
    [
        start(token="wrong"),
        start(token=None),
        start(token=[TOKEN]),
        start(),
        json.dumps({"type": "flush", "token": TOKEN}),
        json.dumps({"token": TOKEN}),
        json.dumps(TOKEN),
        TOKEN,
        "",
        '{"type": "start", "token": "x", "options": ' + "[" * 100_000,
        '{"type": "start", "token": "\\ud800"}',
        "\ud800",
        start(token=TOKEN).encode(),
        b"\0" * 64,
    ],
)
def test_anything_else_first_is_refused(frame: str | bytes) -> None:
    """Audio, other messages, nonsense; and a start in a binary frame."""
    assert access.first_message(CLOSED, frame) is Verdict.REFUSED_TOKEN


@given(st.text() | st.binary())
def test_no_frame_breaks_the_decision(frame: str | bytes) -> None:
    """Whatever a stranger sends, the answer is no."""
    assert access.first_message(CLOSED, frame) is Verdict.REFUSED_TOKEN


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")), st.text())
def test_no_request_breaks_the_decision(value: str, token: str) -> None:
    """Nor do headers and queries."""
    assert access.request(WITH_QUERY, Headers({"Authorization": value}), {}) is Verdict.REFUSED_TOKEN
    assert access.request(WITH_QUERY, Headers(), {"token": token}) is Verdict.REFUSED_TOKEN


# --- the HTTP pages --------------------------------------------------------------------------------


def test_pages_are_for_those_who_have_a_token() -> None:
    """No token where one is needed is no: there is no first message on a page."""
    assert access.may_read_pages(OPEN, Headers(), {})
    assert access.may_read_pages(CLOSED, bearer(TOKEN), {})
    assert access.may_read_pages(WITH_QUERY, Headers(), {"token": TOKEN})
    assert not access.may_read_pages(CLOSED, Headers(), {})
    assert not access.may_read_pages(CLOSED, bearer("wrong"), {})
    assert not access.may_read_pages(CLOSED, Headers(), {"token": TOKEN})


def test_strangers_see_the_status_only() -> None:
    """No process ids, engines or counts."""
    page = {"status": "ok", "stages": {"asr": {"pid": 1}}, "active_connections": 2}
    assert access.health_without_token(page) == {"status": "ok"}


# --- what is told ----------------------------------------------------------------------------------


def test_refusals_say_what_to_do() -> None:
    """One for each verdict that refuses, with the status that keeps clients from trying for ever."""
    refusals = {verdict: refusal.status for verdict, refusal in access.REFUSALS.items()}
    assert refusals == {Verdict.REFUSED_TOKEN: 401, Verdict.REFUSED_ORIGIN: 403}
    assert all(refusal.message.endswith(".") for refusal in access.REFUSALS.values())


def test_no_token_is_shown(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """Not in a log line, a print, a refusal or a repr."""
    caplog.set_level(logging.DEBUG)
    access.request(CLOSED, bearer(TOKEN), {"token": TOKEN})
    access.first_message(CLOSED, start(token=TOKEN))
    printed = capsys.readouterr()
    decoded = access._start.decode(start(token=TOKEN))
    shown = [caplog.text, printed.out, printed.err, repr(access.REFUSALS), repr(decoded), repr(CLOSED)]
    assert not any(TOKEN in text for text in shown)
