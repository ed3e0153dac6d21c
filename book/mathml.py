"""Sphinx extension: mathematics as MathML, which browsers draw themselves, and a font for it.

Without a mathematical font braces do not stretch and sums stay small, and many machines have
none. So a part of STIX Two Math (SIL Open Font License), which the package ziamath carries, is
written into the site: the characters below, as WOFF.
"""

import re
from html import escape
from importlib.resources import as_file, files
from pathlib import Path

from docutils import nodes
from fontTools import subset
from math_core import LatexError, LatexToMathML
from sphinx.locale import _
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

# ASCII, accents, Greek, arrows, operators, delimiters; bold, italic and script letters.
CHARACTERS = """
    20-7e a0-b1 b7 d7 f7 2c6 2c7 2d8-2dd 302-304 307 308 391-3a9 3b1-3f5 2016 2026 2032 2033 203e
    2061-2064 210e 2113 211d 2190-2195 21a6 21d0-21d4 2200-220f 2211-2213 2217 221a 221d 221e 2223
    2225 2227-222b 2237 223c 2248 2260 2261 2264 2265 226a 226b 2282 2283 2286 2287 2295 2297 22a4
    22a5 22c5 22ee 22ef 2308-230b 23b4 23b5 23de 23df 27e8 27e9 1d400-1d467 1d49c-1d4b5 1d53c
    1d6a8-1d71b
"""
FONT = "mathematics.woff"
# The HTML standard's checker wants these two attributes as style, everywhere but on mstyle.
STYLED = {
    ' displaystyle="false" scriptlevel="0"': ' style="math-style: compact; math-depth: 0"',
    ' displaystyle="false"': ' style="math-style: compact"',
    ' displaystyle="true"': ' style="math-style: normal"',
}
# Browsers draw a prime in a superscript tiny. Beside its letter it has the size that it should.
PRIMED = {
    r"<msup>(<mi>[^<]*</mi>)<mo>′</mo></msup>": r"<mrow>\1{prime}</mrow>",
    r"<msubsup>(<mi>[^<]*</mi>)(<mi>[^<]*</mi>)<mo>′</mo></msubsup>": (
        r"<msub><mrow>\1{prime}</mrow>\2</msub>"
    ),
}
PRIME = '<mo lspace="0" rspace="0">′</mo>'
# Sphinx numbers an environment as a whole, so its lines have no numbers of their own.
NUMBERED = re.compile(
    r"\\(begin|end)\{(?:(?:fl)?align|alignat|eqnarray|(equation|gather|multline))\*?\}"
    r"((?<=alignat\})\{\d+\}|(?<=alignat\*\})\{\d+\})?"
)
ENVIRONMENT = re.compile(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}", re.DOTALL)
# The TeX goes with each formula, for whoever copies it.
converter = LatexToMathML(annotation=True, fancy_error=False)
logger = logging.getLogger(__name__)


def convert(node, latex, display):
    """Return the formula as MathML; one that cannot be read is a warning, and shown as code."""
    try:
        formula = converter.convert_with_local_state(latex, displaystyle=display)
    except LatexError as error:
        logger.warning("mathematics that cannot be read: %s", error, location=node)
        return f"<code>{latex.replace('&', '&amp;').replace('<', '&lt;')}</code>"
    for attributes, style in STYLED.items():
        formula = formula.replace(attributes, style)
    for superscript, beside in PRIMED.items():
        formula = re.sub(superscript, beside.replace("{prime}", PRIME), formula)
    return formula


def visit_math(self, node):
    """Write a formula that stands in a line."""
    self.body.append(convert(node, node.astext(), display=False))
    raise nodes.SkipNode


def lay_out(latex):
    """Return displayed TeX as the converter reads it: lines below each other, without numbers."""
    latex = r" \\ ".join(part.strip() for part in latex.split("\n\n") if part.strip())
    latex = NUMBERED.sub(lambda found: rf"\{found[1]}{{{found[2] or 'align'}*}}", latex)
    latex = latex.replace("{split}", "{aligned}")
    if r"\\" in ENVIRONMENT.sub("", latex):
        latex = rf"\begin{{aligned}} {latex} \end{{aligned}}"
    return latex


def visit_displayed_math(self, node):
    """Write a formula that has a line of its own, which scrolls where the page is narrow.

    Beside one with a label stands its number. What MyST calls an environment that has none is
    another word in each build, so it is no address.
    """
    formula = convert(node, lay_out(node.astext()), display=True)
    written = f'<annotation encoding="application/x-tex">{escape(node.astext().strip())}<'
    formula = re.sub(r"<annotation [^>]*>[^<]*<", lambda _: written, formula)
    formula = f'<div class="math">{formula}</div>\n'
    if node["number"]:
        named = "amsmath" not in node["classes"]
        self.body.append(
            self.starttag(node if named else nodes.math_block(), "div", CLASS="equation")
        )
        self.body.append(f'{formula}<span class="eqno">({get_node_equation_number(self, node)})')
        if named:
            self.add_permalink_ref(node, _("Link to this equation"))
        formula = "</span></div>\n"
    self.body.append(formula)
    raise nodes.SkipNode


def write_font(app, exception):
    """Write the part of the font that the pages need beside the theme's own files."""
    target = Path(app.outdir, "_static", FONT)
    if exception or app.builder.format != "html" or target.exists():
        return
    options = subset.Options(flavor="woff", layout_features=[], hinting=False, name_IDs=["*"])
    spans = [[int(end, 16) for end in span.split("-")] for span in CHARACTERS.split()]
    with as_file(files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf") as path:
        font = subset.load_font(path, options)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=[c for span in spans for c in range(span[0], span[-1] + 1)])
        subsetter.subset(font)
        subset.save_font(font, target, options)


def setup(app):
    """Make MathML one of the renderers; `html_math_renderer: mathml` chooses it."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displayed_math, None))
    app.connect("build-finished", write_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
