"""What a check found, as it is shown."""

import html
import re
from dataclasses import dataclass, field

from d2lutils.words import Text, showable

_RIGHT = Text("right, on fresh random inputs", "正确，已用新的随机输入检验")
_NOTHING = Text("", "")
# The colours are the result's own: it must be legible on a light and on a dark page.
_COLORS = {True: ("#0f3d1e", "#e9f6ec", "#1a7f37"), False: ("#4a2500", "#fff3e3", "#b35900")}


@dataclass(frozen=True)
class Result:
    """What `check` returns: shows itself in a notebook, a built page and a terminal.

    Attributes
    ----------
    name : str
        Of the exercise.
    passed : bool
        Whether every property held.
    diagnosis : str
        What is wrong, in a few English words; empty if nothing is.
    hint : str
        A sentence or two that lead on, in English; empty if nothing is wrong.
    seed : int
        Repeats this very check: ``check(name, answer, seed=seed)``.
    words : tuple of Text
        Diagnosis and hint in every language.
    """

    name: str
    passed: bool
    seed: int = 0
    words: tuple[Text, Text] = field(default=(_NOTHING, _NOTHING), repr=False)

    @property
    def diagnosis(self) -> str:  # noqa: D102  (an attribute of the class)
        return self.words[0].to("en")

    @property
    def hint(self) -> str:  # noqa: D102  (an attribute of the class)
        return self.words[1].to("en")

    def __repr__(self) -> str:
        """Show the result in a terminal, in the language of the notebook."""
        if self.passed:
            return showable(f"✓ {self.name}: {_RIGHT}")
        diagnosis, hint = self.words
        return showable(f"✗ {self.name}: {diagnosis}\n  {hint}")

    def _repr_html_(self) -> str:
        diagnosis, hint = self.words
        mark, words = "✓", _RIGHT.html()
        if not self.passed:
            mark, words = "✗", f"<b>{diagnosis.html(_code)}</b>"
            words += f'<div style="margin-top:.3em">{hint.html(_code)}</div>' if hint.en else ""
        ink, ground, edge = _COLORS[self.passed]
        return (
            f'<div class="d2l-check" style="color:{ink};background:{ground};'
            f'border-left:.3em solid {edge};padding:.4em .8em;overflow-wrap:anywhere">'
            f'<span aria-hidden="true">{mark}</span> {_code(f"`{self.name}`")}: {words}</div>'
        )


def _code(text: str) -> str:
    """Return the text as HTML, with `…` as code."""
    style = "color:inherit;background:none;border:0;padding:0"  # a theme may have others
    code = rf'<code style="{style}">\1</code>'
    return re.sub(r"`([^`]+)`", code, html.escape(text, quote=False))
