"""Transcripts as the web process serves them: pages for people, JSON and files for programs, nothing for strangers."""

import contextlib
import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.unit.web_transcripts.kept import ODD, TOKEN, WHEN, Tags, add, browsing, message, setup_of
from wernicke_daemon.records import transcript_file
from wernicke_daemon.wire import tokens


def test_sessions_for_programs(browser: TestClient) -> None:
    """The latest first, page by page, each with what is to be known of it."""
    page = browser.get("/sessions?limit=2").json()
    assert [one["id"] for one in page["sessions"]] == ["cc03", "bb02"] and page["next"] == "bb02"
    rest = browser.get("/sessions", params={"before": page["next"]}).json()
    assert rest["next"] is None
    assert rest["sessions"] == [
        {
            "id": "aa01",
            "begun": "2026-01-01T03:00:00.000Z",
            "length_s": 60.0,
            "results": 2,
            "language": "ja",
            "speakers": [ODD, "田中"],
            "first_words": "来年度の予算です。",
            "continues": None,
        }
    ]


@pytest.mark.parametrize("session", ["aa01", "bb", "bb02"])
def test_a_transcript_as_a_file(session: str, browser: TestClient) -> None:
    """Of all that goes on one for another, with a name that says what it is; any beginning of an id is enough."""
    answer = browser.get(f"/sessions/{session}.vtt")
    assert answer.headers["content-type"] == "text/vtt; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="transcript-' + WHEN + '-aa01.vtt"'
    assert "<v 田中>来年度の予算です。" in answer.text and "続きの予算です。" in answer.text
    assert "01:00:01.000 -->" in answer.text and "<script" not in answer.text


@pytest.mark.parametrize("ending", ["txt", "srt", "vtt", "md", "json", "docx"])
def test_every_format_can_be_had(ending: str, browser: TestClient) -> None:
    """None is a page that a browser would show with what it holds."""
    answer = browser.get(f"/sessions/aa01.{ending}")
    assert answer.status_code == 200 and answer.content
    assert "html" not in answer.headers["content-type"]
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_search_for_programs(browser: TestClient) -> None:
    """Hits with times, speakers, marks and surroundings; page by page."""
    page = browser.get("/search", params={"q": "予算", "limit": 2}).json()
    assert [(hit["session"], hit["sequence"]) for hit in page["hits"]] == [("bb02", 1), ("aa01", 2)]
    assert page["complete"] is True
    [line] = page["hits"][1]["lines"]
    assert (line["start"], line["speaker"], line["marks"]) == (5.0, ODD, [[0, 2]])
    [before] = page["hits"][1]["before"]
    assert before["text"] == "来年度の予算です。"
    rest = browser.get("/search", params={"q": "予算", "limit": 2, "before": page["next"]}).json()
    assert [hit["sequence"] for hit in rest["hits"]] == [1] and rest["next"] is None


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/sessions/dd.txt", 404),
        ("/sessions/cc03.txt", 404),
        ("/sessions/aa01.exe", 404),
        ("/sessions/..%2F..%2Fetc%2Fpasswd.txt", 404),
        ("/sessions/%2Fetc%2Fpasswd.txt", 404),
        ("/sessions/..%5C..%5Cconfig.txt", 404),
        ("/sessions/C:%5Cx.txt", 404),
        ("/sessions/aa01%00.txt", 404),
        ("/sessions/%25.txt", 404),
        ("/sessions/aa01'%20OR%20'1'='1.txt", 404),
        ("/sessions/" + "a" * 10_000 + ".txt", 404),
        ("/transcripts/..%2F..%2Fconfig.toml", 404),
        ("/transcripts/%2E%2E", 404),
        ("/transcripts/%25", 404),
        ("/transcripts/dd", 404),
        ("/static/..%2Fapp.py", 404),
        ("/static/..%2F..%2F..%2Fconfig.toml", 404),
        ("/sessions?limit=0", 400),
        ("/sessions?limit=1000000", 400),
        ("/search", 400),
        ("/search?q=%22", 400),
        ("/search?q=a&before=-1", 400),
        ("/search?q=a&before=99999999999999999999999", 400),
    ],
)
def test_what_is_not_there_says_nothing_of_this_machine(
    path: str, status: int, browser: TestClient, file: Path
) -> None:
    """Whatever tricks are in an id: one sentence, without a path."""
    answer = browser.get(path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"} and str(file.parent) not in answer.text and "Traceback" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/transcripts",
        "/transcripts/aa01",
        "/transcripts?q=予算",
        "/transcripts?q=%3Cscript%3E",
        "/transcripts/aa01?q=quotes",
    ],
)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_what_was_said_is_text(path: str, language: str, browser: TestClient) -> None:
    """Scripts, tags, handlers and templates in texts, names and searches are shown and do nothing."""
    answer = browser.get(path, headers={"Accept-Language": language, "Accept": "text/html"})
    assert answer.status_code == 200 and "script-src 'self'" in answer.headers["content-security-policy"]
    tags = Tags(answer.text)
    assert all(source and source.startswith("/static/") for source in tags.scripts) and tags.scripts
    assert not tags.handlers
    assert '<script>alert("1")</script>' in tags.texts or path.endswith("%3E")
    assert "{{ 7*7 }}" in tags.texts or path.endswith("%3E")


def test_no_file_name_is_chosen_by_what_was_kept(file: Path) -> None:
    """A time that is none, with quotes and line breaks in it, gets into no header."""
    with contextlib.closing(transcript_file.open_for_writing(file)) as database, database:
        add(database, "cc03", 1, message(1, "text", None, 0.0, wall_start='"; filename="x.exe"\r\nSet-Cookie: a=b'))
    with browsing(setup_of(file.parent)) as (client, _):
        answer = client.get("/sessions/cc03.md")
    assert answer.headers["content-disposition"] == 'attachment; filename="transcript-cc03.md"'
    assert "set-cookie" not in answer.headers


def test_names_and_deletion_are_asked_of_the_front(file: Path) -> None:
    """The whole transcript is meant, its latest part first; then the browser is led to what there is."""
    with browsing(setup_of(file.parent)) as (client, edits):
        named = client.post("/transcripts/bb02/name", data={"speaker": ODD, "name": "佐藤 & Söhne"})
        deleted = client.post("/transcripts/aa01/delete")
    assert (named.status_code, named.headers["location"]) == (303, "/transcripts/aa01")
    assert (deleted.status_code, deleted.headers["location"]) == (303, "/transcripts")
    assert edits.asked == [
        {"type": "name", "session_id": "aa01", "speaker": ODD, "name": "佐藤 & Söhne"},
        {"type": "delete", "session_id": "bb02"},
        {"type": "delete", "session_id": "aa01"},
    ]


def test_what_the_front_refuses_is_a_sentence(file: Path) -> None:
    """On a page for whoever sent a form without scripts, in JSON for a script. A browser says where a form of ours
    comes from, which it does not of pages that allow no referrer at all."""
    with browsing(setup_of(file.parent)) as (client, edits):
        edits.refusal = "That session is not over <yet>."
        page = client.post(
            "/transcripts/aa01/delete", headers={"Accept": "text/html", "Origin": "http://127.0.0.1:8001"}
        )
        assert page.status_code == 409 and edits.refusal in Tags(page.text).texts
        assert page.headers["referrer-policy"] == "same-origin"
        assert client.post("/transcripts/aa01/delete").json() == {"error": edits.refusal}


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999"])
@pytest.mark.parametrize("path", ["/transcripts/aa01/delete", "/transcripts/aa01/name"])
def test_no_foreign_page_changes_anything(path: str, origin: str, file: Path) -> None:
    """Not with a form, and not by asking for an address."""
    with browsing(setup_of(file.parent)) as (client, edits):
        assert client.post(path, headers={"Origin": origin}, data={"speaker": "田中", "name": "x"}).status_code == 403
        assert client.get(path, headers={"Origin": origin}).status_code in (404, 405)
        assert not edits.asked


PATHS = [
    "/transcripts",
    "/transcripts/aa01",
    "/transcripts?q=予算",
    "/sessions",
    "/sessions/aa01.json",
    "/sessions/zz99.json",
    "/search?q=予算",
    "/docs",
    "/openapi.json",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_stranger_learns_nothing(path: str, file: Path) -> None:
    """Without a token, or with another one, not even what there is; with it all. A person gets the login."""
    with browsing(setup_of(file.parent, (tokens.hash_of(TOKEN),))) as (client, edits):
        for headers in ({}, {"Authorization": "Bearer " + "b" * 64}):
            answer = client.get(path, headers=headers)
            assert answer.status_code == 401 and set(answer.json()) == {"error"}
            page = client.get(path, headers=headers | {"Accept": "text/html"})
            assert page.status_code == 401 and 'name="token"' in page.text and "予算" not in Tags(page.text).texts
        assert client.post("/transcripts/aa01/delete").status_code == 401 and not edits.asked
        allowed = client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
        assert allowed.status_code == (404 if "zz99" in path else 200)


@pytest.mark.parametrize("path", ["/transcripts", "/sessions"])
def test_where_nothing_was_kept_nothing_is_listed(path: str, tmp_path: Path) -> None:
    """No file is made, and no error told; a search says why there is none."""
    with browsing(setup_of(tmp_path)) as (client, _):
        assert client.get(path).status_code == 200
        assert client.get("/search?q=x").status_code == 503
        assert client.get("/sessions/aa01.txt").status_code == 404
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["/transcripts", "/sessions"])
def test_transcripts_that_can_not_be_read_are_told_of_in_a_sentence(path: str, tmp_path: Path) -> None:
    """As long as a damaged file is not set aside; where it lies is nobody's concern."""
    (tmp_path / transcript_file.FILE_NAME).write_bytes(b"damaged" * 1000)
    with browsing(setup_of(tmp_path)) as (client, _):
        answer = client.get(path)
    assert answer.status_code == 503
    assert "can't be read" in answer.json()["error"] and str(tmp_path) not in answer.text


def test_the_description_for_programs_is_whole_and_local(browser: TestClient) -> None:
    """Every reference in it leads somewhere, and what shows it comes from here."""
    described = browser.get("/openapi.json").json()
    assert {"/sessions", "/sessions/{session}.{ending}", "/search"} <= set(described["paths"])
    text = json.dumps(described)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in described["components"]["schemas"]
    page = browser.get("/docs")
    sources = [source for source in Tags(page.text).scripts if source]
    assert sources and all(browser.get(source).status_code == 200 for source in sources)
    assert "//" not in page.text.replace("http://127.0.0.1", "")
