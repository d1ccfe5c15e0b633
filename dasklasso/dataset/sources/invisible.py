"""Characters that cannot be seen in a text: zero width, or blanks that are not the space bar's."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_CODE_POINT = re.compile(r"[Uu]\+([0-9A-Fa-f]{4,6})")


def is_invisible(character: str) -> bool:
    """Tell whether a character leaves no mark: U+200B, U+FEFF, U+00AD, no-break spaces."""
    if character.isascii():
        return False
    return unicodedata.category(character) in ("Cf", "Zs")


def code_point(character: str) -> str:
    """Return ``U+200B`` for the character that has this number."""
    return f"U+{ord(character):04X}"


def character_names(characters: Iterable[str]) -> str:
    """Name characters: ``ZERO WIDTH SPACE (U+200B)``."""
    return " and ".join(
        f"{unicodedata.name(one, 'a character')} ({code_point(one)})" for one in characters
    )


def spelled_character(text: str) -> str:
    """Return the character that ``U+200B`` spells; any other text as it is."""
    match = _CODE_POINT.fullmatch(text)
    number = int(match[1], 16) if match else 0
    return chr(number) if 0 < number <= 0x10FFFF else text
