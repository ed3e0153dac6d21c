"""An explorer as HTML: the data, the script that draws them, and the same numbers as a table."""

import html
import itertools
import json
import re
from functools import cache
from hashlib import sha256
from pathlib import Path

from d2lutils.explorer.figure import AXES, NONE, Band
from d2lutils.words import Text

TABLE = Text("The final values as a table", "以表格查看最终数值")
WITH_UNIT = Text("{name} ({unit})", "{name} ({unit})")
MEAN = Text("mean ± standard deviation over seeds", "均值 ± 各随机种子的标准差")
TEST = Text("Open the test set", "打开测试集")
COST = Text(
    "Choose first: once you have seen these numbers, you can no longer choose by them honestly.",
    "请先选定再打开：看过这些数值之后，就不能再凭它们来公正地做选择了。",
)
# Where no script runs, or finds its data damaged.
MISSING = Text(
    "The figure that belongs here could not be drawn: it needs JavaScript, and all of its data."
    " What it ends in stands below: open “{table}”.",
    "此处本应有一幅交互图，但未能绘出：它需要 JavaScript 和完整的数据。最终数值见下方的“{table}”。",
).format(table=TABLE)
# Joined to one module, since a page that is opened as a file may not load any.
PARTS = "words numbers svg axes runs curves final map weights controls address explorer element"


class Explorer:
    """A figure with sliders; what a notebook cell shows when this is its value.

    Attributes
    ----------
    data : dict
        What the figure draws, rounded, as it travels in the HTML.
    """

    def __init__(self, data: dict, final: dict[str, Band], caption: Text):
        self.data, self._final, self._caption = data, final, caption

    def __repr__(self) -> str:
        axes = " × ".join(f"{len(axis['values'])} {axis['key']}" for axis in self.data["axes"])
        return f"Explorer({axes})"

    def _repr_html_(self) -> str:
        code, tag = script()
        data = json.dumps(
            self.data, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=vars
        )
        # Inside a script element only "<" can end or open anything; JSON may escape it anywhere.
        for character in "<>&\u2028\u2029":
            data = data.replace(character, f"\\u{ord(character):04x}")
        return (
            f'<figure class="d2l-explorer" style="margin:1em 0;padding:0"><{tag}>'
            f'<script type="application/json">{data}</script>'
            f"<p>{MISSING.html()}</p></{tag}>"
            # HTML wants a figcaption first or last, and alone it names the figure.
            f"<details><summary>{TABLE.html()}</summary>"
            f"{self._tables()}</details>"
            f'<figcaption style="color:inherit;font:inherit;font-size:.9em;'
            f'margin:0;padding:0;text-align:start;overflow-wrap:anywhere">'
            f"{self._caption.html()}</figcaption></figure>\n"
            f'<script type="module">{code}</script>'
        )

    def _tables(self) -> str:
        """Return the final values, those on the test set behind a lock of their own."""
        test = {name: band for name, band in self._final.items() if name.startswith("test_")}
        rest = {name: band for name, band in self._final.items() if name not in test}
        tables = [
            f'<div style="overflow-x:auto" tabindex="0">{_table(self.data, part)}</div>'
            for part in (rest, test)
        ]
        if not test:
            return tables[0]
        return (
            f"{tables[0]}<details><summary>{TEST.html()}</summary>"
            f"<p>{COST.html()}</p>{tables[1]}</details>"
        )


def _table(data: dict, final: dict[str, Band]) -> str:
    """Return the final values of all points, for whom the picture is not there."""
    axes = [(axis["label"], axis["values"]) for axis in reversed(data["axes"])]
    if data["noise"]["values"]:
        axes.insert(0, (AXES["label_noise"], data["noise"]["values"]))
    head = [label for label, _ in axes]
    for name, band in final.items():
        label = data["stats"][name]["label"]
        head.append(WITH_UNIT.format(name=label, unit=band.unit) if band.unit != NONE else label)
    rows = []
    for point, setting in enumerate(itertools.product(*(values for _, values in axes))):
        cells = [f'<th scope="row">{html.escape(value)}</th>' for value in setting]
        cells += [f"<td>{band.text(point)}</td>" for band in final.values()]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f'<th scope="col">{text.html()}</th>' for text in head)
    return (
        f'<table style="font-size:.8rem;line-height:1.5">'
        f'<caption style="text-align:start">{MEAN.html()}</caption>'
        f'<thead><tr>{head}</tr></thead><tbody style="white-space:nowrap">'
        f"{''.join(rows)}</tbody></table>"
    )


@cache
def script() -> tuple[str, str]:
    """Return the module that draws, and the name of its element, which changes with the module.

    Comments, indents and what the parts import from each other stay at home. (So no text in them
    may begin a line.)
    """
    folder = Path(__file__).parent
    code = "".join((folder / f"{part}.js").read_text("utf-8") for part in PARTS.split())
    code = re.sub(r"^import .*\n|^export ", "", code, flags=re.M)
    code = re.sub(r"^\s*(//.*\n|/\*\*(.|\n)*?\*/\n)?|\s+// .*$", "", code, flags=re.M)
    css = re.sub(r"\s+", " ", (folder / "explorer.css").read_text("utf-8"))
    css = json.dumps(css, ensure_ascii=False).replace("<", "\\u003c")
    tag = f"d2l-explorer-{sha256((code + css).encode()).hexdigest()[:6]}"
    return f'const TAG = "{tag}", CSS = {css};\n{code}', tag
