"""Lettering: texts of any script made into labels, in fonts that have their characters."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

from qkv.types import Value

__all__ = ["Lettering", "lettering", "one_line", "written"]

#: Stands for a character that no installed font has.
_BOX = "□"
#: Fonts that matplotlib cannot draw, or that have a box for everything.
_UNFIT = ("Color Emoji", "LastResort", "Last Resort")
#: Fonts to look into first; the rest follows by name.
_FIRST = ("Noto Sans", "Source Han Sans", "WenQuanYi", "IPA", "Hiragino Sans", "PingFang")


@dataclass(frozen=True)
class Lettering:
    """How the texts of one picture are written.

    Attributes
    ----------
    style
        Arguments of a matplotlib text: the font families, and ``$`` as a plain character.
    missing
        Characters that no installed font has.
    bold
        The weight of what is emphasised; fonts of other scripts often have one weight only.
    """

    style: dict[str, Any]
    missing: frozenset[str]
    bold: str

    def label(self, text: str, columns: int = 28) -> str:
        """Return one line of at most so many columns; Chinese characters take two each."""
        line = one_line(text, columns)
        return "".join(_instead(c) if c in self.missing else c for c in line)

    @property
    def note(self) -> str:
        """What to say below a picture with characters that could not be written."""
        return f"{_BOX} no installed font has this character" if self.missing else ""


def lettering(texts: Iterable[str]) -> Lettering:
    """Find installed fonts for texts; matplotlib's own font is tried first."""
    families = list(mpl.rcParams["font.family"])
    # What is not seen needs no font.
    missing = {c for text in texts for c in one_line(text) if not c.isascii()}
    for family in families:
        missing -= _covered(missing, findfont(FontProperties(family=[family])))
    for family, file in _installed() if missing else ():
        found = _covered(missing, file)
        if found:
            families.append(family)
            missing -= found
        if not missing:
            break
    bold = "bold" if families == mpl.rcParams["font.family"] else "normal"
    return Lettering({"family": families, "parse_math": False}, frozenset(missing), bold)


def _installed() -> Iterator[tuple[str, str]]:
    """Upright fonts of usual weight, family and file; those that cover many scripts first."""
    upright = {
        font.name: font.fname
        for font in sorted(fontManager.ttflist, key=lambda font: font.fname)
        if font.style == "normal"
        and font.weight in (400, "normal", "regular", "book")
        and not any(name in font.name for name in _UNFIT)
    }
    yield from sorted(upright.items(), key=lambda item: (not item[0].startswith(_FIRST), item[0]))


def _covered(characters: set[str], file: str) -> set[str]:
    if not characters:
        return set()
    try:
        font = get_font(file)
    except (OSError, RuntimeError):  # a file that is gone or is no font that FreeType reads
        return set()
    return {c for c in characters if font.get_char_index(ord(c))}


def _instead(character: str) -> str:
    """A box; nothing for joiners and variation selectors, which are seen in no font."""
    return "" if unicodedata.category(character) in ("Cf", "Mn") else _BOX


def one_line(text: str, columns: int | None = None) -> str:
    r"""Return a text without line breaks and control characters, cut to so many columns.

    Examples
    --------
    >>> one_line("two\nlines"), one_line("a rather long sentence", 10), one_line("世界杯在哪里", 8)
    ('two lines', 'a rather…', '世界杯…')
    """
    printable = (" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)
    line = " ".join("".join(printable).split())
    if columns is None or sum(map(_width, line)) <= columns:
        return line
    used, kept = 1, ""
    for character in line:
        used += _width(character)
        if used > columns:
            break
        kept += character
    return kept.rstrip() + "…"


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def written(value: Value) -> str:
    """Return a value as a label: numbers rounded, vectors by their size."""
    if isinstance(value, str):
        return value
    if isinstance(value, np.ndarray):
        return f"vector of {len(value)}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.6g}"
    return json.dumps(value, ensure_ascii=False)
