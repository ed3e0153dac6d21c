"""What the module says, in the language of the notebook.

English stands in the code. `<language>.json` beside this file holds the other languages: each
English text, with its `{…}`, and what it becomes. A text that is missing there stays English.
"""

import html
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh")


def language() -> str:
    """Return the language of the notebook that runs here, one of `LANGUAGES`.

    The environment variable ``D2L_LANGUAGE`` tells; else the folder of the edition, ``book/zh``, in
    the path that Jupyter gives its kernels, ``JPY_SESSION_NAME``; else it is English.
    """
    path = re.search(r"\bbook[/\\](\w+)[/\\]", os.environ.get("JPY_SESSION_NAME", ""))
    for found in (os.environ.get("D2L_LANGUAGE"), path and path[1]):
        if found in LANGUAGES:
            return found
    return "en"


@dataclass(frozen=True)
class Text:
    """Words in every language of the course; as a string, in that of the notebook."""

    en: str
    zh: str

    def to(self, language: str) -> str:
        """Return the words in one of `LANGUAGES`."""
        return getattr(self, language)

    def __str__(self) -> str:
        return self.to(language())

    def format(self, **values: object) -> "Text":
        """Fill in the `{…}`; a value that is a `Text` is said in each language."""
        return Text(
            *(
                self.to(to).format(
                    **{k: v.to(to) if isinstance(v, Text) else v for k, v in values.items()}
                )
                for to in LANGUAGES
            )
        )

    def html(self, mark_up: Callable[[str], str] = html.escape) -> str:
        """Return all languages as HTML; a notebook shows its own, the site that of the edition."""
        return "".join(
            f'<span class="d2l-words" lang="{to}"{"" if to == language() else " hidden"}>'
            f"{mark_up(self.to(to))}</span>"
            for to in LANGUAGES
        )


def number(value: float, digits: int = 6) -> str:
    """Write a number as one would type it: 0.01 or 1e-4, never 1e-04.

    Parameters
    ----------
    value : float
        The number.
    digits : int, default 6
        Significant digits at most.
    """
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    if value == 0 or -3 <= int(power) < max(digits, 4):
        return f"{float(f'{value:.{digits}g}'):.{max(digits, 6)}g}"
    return f"{float(mantissa):g}e{int(power)}"


def say(text: str, to: str | None = None, /, **values) -> str:
    """Return a text in a language, that of the notebook by default, with its `{…}` filled in.

    Words among the values are translated as well, but not between backticks: that is code.
    """
    words = _translations(to or language())
    translated = words.get(text, text)
    for field in re.findall(r"\{(\w+)\}", re.sub(r"`[^`]*`", "", translated)):
        if isinstance(values.get(field), str):
            values[field] = words.get(values[field], values[field])
    return translated.format(**values) if values else translated


def in_each(text: str, /, **values) -> dict[str, str]:
    """Return a text in every language, for `spans`."""
    return {to: say(text, to, **values) for to in LANGUAGES}


def spans(texts: Mapping[str, str], mark_up=html.escape) -> str:
    """Return HTML with a text in several languages, of which one is to be seen.

    A notebook shows its own. The site shows that of the edition: it leaves out the others.
    """
    seen = language() if language() in texts else next(iter(texts))
    return "".join(
        f'<span class="d2l-words" lang="{to}"{"" if to == seen else " hidden"}>'
        f"{mark_up(text)}</span>"
        for to, text in texts.items()
    )


@cache
def _translations(to: str) -> dict[str, str]:
    if to == "en":
        return {}
    return json.loads(Path(__file__).with_name(f"{to}.json").read_text(encoding="utf-8"))
