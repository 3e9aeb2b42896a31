r"""What of our own words may leave for the network: no path of this machine, no password of an address. Pure.

    'asr.model is '/home/ann/my models/x', which is no directory'  →  'asr.model is '…', which is no directory'
    'no model in C:\Users\Ann\my models: run that'                 →  'no model in …'

Where a path without quotes ends nobody can tell, as blanks and all else may be in it: it takes the rest with it. The
log has the whole text.
"""

import re
from typing import Any

_PATH = r"""(?:
    (?<! [\w.)\]}/] ) ~?/+ [^\s/]              # /home, ~/models, //server; not and/or, 24/7, owner/name, ./here
  | (?<! \w ) [A-Za-z]: [\\/]+ [^\s\\/]        # C:\Users, C:/Users
  | (?<! [\w.)\]}\\] ) \\{2,} [^\s\\]+ \\      # \\server\share, \\?\C:\Users
)"""
"""How an absolute path begins, with backslashes as they are or doubled, as Python writes them in quotes."""

_PRIVATE = re.compile(
    rf"""
    (?P<scheme> \b (?:https?|wss?):// ) (?: [^\s/]* @ )? (?P<address> [^\s'"`()<>,;]* )  # stays, but for who logs in
  | (?P<quote> ['"`] ) {_PATH} .* (?P=quote) (?! \w )  # to the last such quote: there may be more in the path itself
  | {_PATH} .*
    """,
    re.VERBOSE | re.DOTALL,
)


def public(value: Any) -> Any:
    """A text without what is private in it; a page (dicts, lists) with each of its texts so, and all else as it is."""
    if isinstance(value, str):
        return _PRIVATE.sub(_shown, value)
    if isinstance(value, dict):
        return {key: public(each) for key, each in value.items()}
    if isinstance(value, list):
        return [public(each) for each in value]
    return value


def _shown(found: re.Match[str]) -> str:
    if found["scheme"]:
        return found["scheme"] + found["address"]
    quote = found["quote"] or ""
    return f"{quote}…{quote}"
