"""Every claim of the prose, measured over seeds. The claims stand in `tests/claims/`."""

import re

import pytest

from book.pages import BOOK, NOTEBOOKS, cells, prose
from tests.claims import ALL_CLAIMS, Claim, Measured
from tests.claims.claim import WORDS, number

# A share, or a difference of shares: "0.61", "61 %", "2.5 points", "two points".
NUMBER = re.compile(
    r"(?<![\w.,])[−-]?(?:\d[\d,]*(?:\.\d+)?\s?(?:%|percent\b)"
    rf"|(?:\d+(?:\.\d+)?|{'|'.join(WORDS)}) points?\b"
    r"|\d*\.\d+(?!\w|\.\d))",
    re.IGNORECASE,
)
# What the old notebook printed, which the course quotes, and the confidence of all intervals.
QUOTED = {0.763, 0.772, 0.779, 0.785, 0.791, 0.795, 0.81, 0.822, 0.834, 0.841, 0.845, 0.849,
          0.86, 0.872, 0.877, 0.95}  # fmt: skip


# Code, formulas, where links lead, and what is no share.
SILENT = re.compile(
    r"```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|<[^>]*>|arXiv \d+\.\d+", re.DOTALL
)


def spoken(markdown: str) -> str:
    """Return what a text says, as one line."""
    return " ".join(SILENT.sub(" ", markdown).split())


def plain(sentence: str) -> str:
    return " ".join(sentence.replace("{", "").replace("}", "").split())


@pytest.mark.parametrize("claim", ALL_CLAIMS, ids=lambda c: f"{c.page}: {c.sentence[:50]}")
class TestClaim:
    def test_page_says_so(self, claim):
        assert plain(claim.sentence) in " ".join(prose(claim.page).split())

    def test_holds(self, claim):
        claim.check()


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda p: p.relative_to(BOOK).as_posix())
class TestPage:
    def test_a_number_in_the_prose_is_a_setting_or_is_measured_by_a_claim(self, page):
        text = " ".join(prose(page).split())
        for claim in ALL_CLAIMS:
            if claim.page == page.relative_to(BOOK).with_suffix("").as_posix():
                text = text.replace(plain(claim.sentence), re.sub(r"\{.*?\}", "…", claim.sentence))
        code = "\n".join(cell["source"] for cell in cells(page, "code"))
        settings = {float(x) for x in re.findall(r"(?<!\w)\d*\.?\d+(?:e-?\d+)?", code)} | QUOTED
        # A setting is never a number of points.
        measured = [
            x
            for x in NUMBER.findall(spoken(text))
            if "point" in x.lower() or number(x) not in settings
        ]
        assert not measured, f"{measured}: give each a Measured or a Claim in tests/claims"

    def test_what_was_seen_is_claimed(self, page):
        sentences = [plain(claim.sentence) for claim in ALL_CLAIMS]
        for cell in cells(page, "markdown"):
            if re.search(r"-(seen|after|explained)$", cell["id"]):
                text = " ".join(cell["source"].split())
                assert any(s in text for s in sentences), f"{cell['id']} has no claim"


def test_a_claim_that_would_hold_with_its_settings_swapped_is_refused():
    with pytest.raises(ValueError, match="margin is -0.1"):
        Claim("index", "This is above that.", lambda seed: 0, lambda seed: 0.05, margin=-0.1)


def test_a_number_that_is_not_measured_is_seen():
    says = Measured("index", "from {61 %} by {two points}", (lambda s: 0.61, lambda s: 0.024),
                    within=0.005)  # fmt: skip
    says.check()
    with pytest.raises(AssertionError):
        Measured("index", "from {61 %}", (lambda seed: 0.62,), within=0.005).check()
    with pytest.raises(ValueError, match="1 measurements"):
        Measured("index", "{61 %} and {97 %}", (lambda seed: 0.61,), within=0.01)
    with pytest.raises(ValueError, match="within=0.02 is too wide"):
        Measured("index", "by {two points}", (lambda seed: 0.0,), within=0.02)
    text = "It rises by two points to 61 %, or .61, in 30 epochs (`x = 0.5`, $p = 0.7$); −0.02."
    assert NUMBER.findall(spoken(text)) == ["two points", "61 %", ".61", "−0.02"]
