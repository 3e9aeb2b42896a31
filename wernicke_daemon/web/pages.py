"""Pages made of templates, in the language of who reads them. Templates escape whatever is put into them."""

import functools
import json
from pathlib import Path
from typing import Any, Literal

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

HERE = Path(__file__).parent

Language = Literal["en", "ja"]

COOKIE_LANGUAGE = "lang"
COOKIE_THEME = "theme"
"""Chosen on the page, for a year: "dark", "light"; without it as the system has it."""

THEMES = ("dark", "light")


@functools.cache
def words(language: Language) -> dict[str, str]:
    """What pages and scripts say, by key. Each file of `words/` has `{key: {"en": …, "ja": …}}`; a key begins with the
    name of its file, as in `live.follow`."""
    found: dict[str, str] = {}
    for file in sorted((HERE / "words").glob("*.json")):
        table = json.loads(file.read_text(encoding="utf-8"))
        found |= {f"{file.stem}.{key}": said[language] for key, said in table.items()}
    return found


def language_of(request: Request) -> Language:
    """As chosen on the page, else the first of ours that the browser names."""
    chosen = request.cookies.get(COOKIE_LANGUAGE)
    if chosen in ("en", "ja"):
        return "ja" if chosen == "ja" else "en"
    accepted = [
        part.partition(";")[0].strip()[:2].lower() for part in request.headers.get("accept-language", "").split(",")
    ]
    return next(("ja" if each == "ja" else "en" for each in accepted if each in ("ja", "en")), "en")


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(request: Request, template: str, *, status: int = 200, active: str = "", **values: Any) -> HTMLResponse:
    """template: in `templates/`, made from `base.html`. active: which entry of the navigation it is: "live",
    "transcripts", "tuning". values: for the template, which has `t(key)` for words."""
    language = language_of(request)
    said = words(language)
    setup = request.app.state.setup
    text = (
        _environment()
        .get_template(template)
        .render(
            t=lambda key, **filled: said[key].format(**filled) if filled else said[key],
            language=language,
            theme=_theme(request),
            active=active,
            logged_in=setup.needs_login and template != "login.html",
            **values,
        )
    )
    return HTMLResponse(text, status, headers={"Vary": "Cookie, Accept-Language"})


def _theme(request: Request) -> str:
    chosen = request.cookies.get(COOKIE_THEME, "")
    return chosen if chosen in THEMES else "auto"
