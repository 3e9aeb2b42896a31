"""What words are put together from."""

from typing import NamedTuple


class Unit(NamedTuple):
    """The smallest part of a text that is never cut. ending: it belongs to the word before, if there is one."""

    text: str
    ending: bool = False
