"""The search index: which words of a page it holds, and how the browser splits a query.

Sphinx's index would hold stems, and of Chinese the words of a dictionary. Ours holds words as they
are written, so that half a word finds them, and pairs of Chinese characters, so that any piece of a
text does. What matches what is decided in the browser, by `static/search.js`.
"""

import re
import unicodedata

from math_core import LatexError, LatexToMathML
from sphinx.search.en import SearchEnglish

CHINESE = "[\u4e00-\u9fff]+"
# A run of Chinese, a Greek letter, a decimal number, a word, a symbol. Python and browsers read it
# alike.
TERM = re.compile(rf"{CHINESE}|[α-ω]|[0-9]+\.[0-9]+|[0-9a-zß-öø-ɏ_]+|[±×÷√∞≈≠≤≥∂∇∑∏∈∝⊙‖→]")
SPLIT_QUERY = f"""
var splitQuery = (text) =>
  text.normalize("NFKC").toLowerCase().match(/{TERM.pattern}/gu) ?? [];
"""
latex = LatexToMathML()


def split(text: str) -> list[str]:
    """Return the terms of a text, as `splitQuery` does in the browser."""
    return TERM.findall(unicodedata.normalize("NFKC", text).lower())


def drawn(text: str) -> str:
    r"""Return what a formula shows: ‖𝑤‖ for \lVert w\rVert; nothing for what is no formula."""
    try:
        formula = latex.convert_with_local_state(text, displaystyle=False) if "\\" in text else ""
    except LatexError:
        return ""
    return re.sub("<[^>]*>", " ", formula).replace("∥", "‖")


class SearchOfBook(SearchEnglish):
    """What goes into the index, in English; Porter's stemmer comes along for the browser."""

    js_splitter_code = SPLIT_QUERY

    def split(self, text: str) -> list[str]:
        """Return the terms of a piece of a page, Greek letters also by their names."""
        terms = []
        for term in split(f"{text} {drawn(text)}"):
            if re.fullmatch(CHINESE, term) and len(term) > 1:
                terms += [first + second for first, second in zip(term, term[1:], strict=False)]
            else:
                terms.append(term)
            if "α" <= term <= "ω":
                terms.append(unicodedata.name(term).split()[-1].lower().replace("lamda", "lambda"))
        return terms

    def stem(self, word: str) -> str:
        """Return the word as it is."""
        return word

    def word_filter(self, word: str) -> bool:
        """Keep every word."""
        return True


class SearchChineseOfBook(SearchOfBook):
    """The same for the Chinese edition."""

    lang = "zh"
    language_name = "Chinese"
