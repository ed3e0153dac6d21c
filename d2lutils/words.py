"""What the module says: texts in every language of the course, numbers as one types them."""

import html
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

LANGUAGES = ("en", "zh")


def language() -> str:
    """Return the language of the notebook that runs here, one of `LANGUAGES`.

    The environment variable ``D2L_LANGUAGE`` tells; else the folder of the edition, ``book/zh``, in
    the path that Jupyter gives its kernels, ``JPY_SESSION_NAME``; else it is English.
    """
    if os.environ.get("D2L_LANGUAGE") in LANGUAGES:
        return os.environ["D2L_LANGUAGE"]
    edition = rf"\bbook[/\\]({'|'.join(LANGUAGES)})(?=[/\\])"
    # The last one: the course itself may lie below a folder of such a name.
    return ["en", *re.findall(edition, os.environ.get("JPY_SESSION_NAME", ""))][-1]


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


def showable(text: str) -> str:
    """Return the text as the terminal's encoding, which may lack letters or marks, can show it."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    for letter, plain in {"✓": "+", "✗": "x", "λ": "lambda", "…": "..."}.items():
        if letter.encode(encoding, "ignore") == b"":
            text = text.replace(letter, plain)
    return text.encode(encoding, "replace").decode(encoding)


def error_text(error: BaseException) -> str:
    """Return what an exception says, in at most 400 characters; a dash if that is nothing."""
    try:
        text = str(error)
    except BaseException:  # a class of the learner's own may fail even here
        text = ""
    text = text.encode(errors="replace").decode()  # half a surrogate pair cannot be sent or stored
    return (text if len(text) <= 400 else text[:400] + " …") or "–"
