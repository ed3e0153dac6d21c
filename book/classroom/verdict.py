"""Execute a sheet, and decide which of its tests hold.

The learner's code runs in the kernel that grades it, and no rule in there can end what it may do to
the grader. So beside each test stand controls: wrong answers, which must be refused, and a right
one, which must not.
"""

import random
import re
import time

import confined
import nbformat
from handed_in import ANSWER, CODE, NotGradable

from d2lutils.checks import load
from d2lutils.words import Text

RESTARTS = 5  # cells of one sheet that may end its kernel, beside its answers and their checks
CALL = re.compile(r'^grade\("([\w.]+)", (\w+)\)', re.MULTILINE)


class Execute(confined.Execute):
    """Executes a sheet and decides which tests hold.

    A cell that ends the kernel, or cannot be stopped, is left out when the sheet runs anew; if it
    checks an answer, so is all else that checks the same one. A test runs wherever its answer
    stands, until it holds. Controls, which must come out as they should,
    tell whether the sheet changed what grades it.
    """

    def preprocess(self, nb, resources):
        """Execute a notebook, and keep of its tests what nbgrader needs."""
        _fill_in(nb)
        self.left_out, started = {}, time.monotonic()
        answers, checks = _parts(nb)
        while True:
            self.running, self.held, self.failed = None, set(), set()
            try:
                nb, resources = super().preprocess(nb, resources)
                break
            except Exception as error:
                over = time.monotonic() - started > confined.SECONDS
                if self.running is None:
                    raise
                others = {*self.left_out, self.running} - answers - set(checks)
                if over or len(others) > RESTARTS:
                    raise NotGradable(
                        "its cells end the kernel, or cannot be stopped, again and again. Read it.",
                        "它的单元格一再使内核终止，或者无法停下。请仔细阅读。",
                    ) from error
                self.log.warning("Cell %s ends or blocks the kernel: %s", self.running, error)
                answer = checks.get(self.running)
                same = [index for index, other in checks.items() if answer and other == answer]
                self.left_out |= dict.fromkeys([self.running, *same], type(error).__name__)
        self._expect_controls(nb)
        _keep_verdicts(nb, self.held)
        return nb, resources

    def preprocess_cell(self, cell, resources, index):
        """Execute a cell, but none that is left out, and no test that has held already."""
        test = cell.metadata.get("d2l", {}).get("test")
        if index in self.left_out:
            text = _ended(self.left_out[index], self.nb)
            cell.outputs = [nbformat.v4.new_output(
                "error", ename=self.left_out[index], evalue=text, traceback=[text]
            )]  # fmt: skip
            self.failed.add(index)
        elif test not in self.held:
            self.running = index
            cell, resources = super().preprocess_cell(cell, resources, index)
            self.running = None
            if any(out.output_type == "error" for out in cell.get("outputs", ())):
                self.failed.add(index)
            elif test and index not in self.failed:
                self.held.add(test)
        return cell, resources

    def on_cell_executed(self, *, cell_index, execute_reply, **more):
        """Note a reply that is not fine: an error may put out nothing."""
        if execute_reply["content"].get("status") != "ok":
            self.failed.add(cell_index)
        super().on_cell_executed(cell_index=cell_index, execute_reply=execute_reply, **more)

    def _expect_controls(self, nb):
        """Raise unless wrong answers were refused, and a right one accepted."""
        for index, cell in enumerate(nb.cells):
            control = cell.metadata.get("d2l", {}).get("control")
            if control == "wrong" and index not in self.failed:
                raise NotGradable(
                    "while it ran, a wrong answer was taken for right ({name}): it changes what "
                    "grades it. Read it.",
                    "运行这份作业时，一个错误的答案被判为正确（{name}）：它改动了评分程序。请仔细阅读。",
                    name=cell.metadata.d2l.name,
                )
            if control == "right" and index in self.failed and index not in self.left_out:
                raise NotGradable(
                    "while it ran, a right answer was refused ({name}): it changes what grades it. "
                    "Read it.",
                    "运行这份作业时，一个正确的答案被判为错误（{name}）：它改动了评分程序。请仔细阅读。",
                    name=cell.metadata.d2l.name,
                )


def _fill_in(nb):
    """Give each place of a test its source, and put controls beside."""
    sources = {
        cell.metadata.d2l.test: cell.source
        for cell in nb.cells
        if "test" in cell.metadata.get("d2l", {}) and "nbgrader" in cell.metadata
    }
    cells = []
    for cell in nb.cells:
        cells.append(cell)
        test = cell.metadata.get("d2l", {}).get("test")
        if test:
            cell.source = sources[test]
        if test and "nbgrader" in cell.metadata:
            cells += _controls(cell.source, "wrong", "lambda *given, **named: None")
    right = []
    for source in sources.values():
        name = CALL.search(source)[1] if CALL.search(source) else ""
        if name and load(name.partition(".")[0])[name].right:
            chapter = name.partition(".")[0]
            stored = f'__import__("d2lutils").checks.load("{chapter}")["{name}"].right'
            right.append((source, "right", stored))
    nb.cells = cells + (_controls(*random.choice(right)) if right else [])


def _parts(nb):
    """Return where answers are given, and of each cell that only checks one, which one that is."""
    tests = [
        c for c in nb.cells if "test" in c.metadata.get("d2l", {}) and "nbgrader" in c.metadata
    ]
    answers, checks = set(), {}
    for test in tests:
        called = CALL.search(test.source)
        defines = called and re.compile(ANSWER.format(re.escape(called[2])), re.MULTILINE)
        last = None  # answer to this task; whatever stands behind it checks it
        for index, cell in enumerate(nb.cells):
            mark = cell.metadata.get("d2l", {})
            if mark.get("test") == test.metadata.d2l.test:
                checks[index] = mark.test, last
            elif mark or not called or cell.cell_type != "code":
                continue
            elif defines.search(cell.source):
                answers.add(index)
                last = index
            elif f'("{called[1]}"' in cell.source.replace("'", '"') and not CODE.search(
                cell.source
            ):
                checks[index] = test.metadata.d2l.test, last
    return answers, checks


def _controls(source, kind, answer):
    """Return a test of another answer, which reads like the test; none if that is another kind."""
    called = CALL.search(source)
    if not called:
        return []
    source = CALL.sub(lambda found: f'grade("{found[1]}", ({found[2]}, {answer})[1])', source)
    if kind == "right":  # it stands whether or not the sheet has an answer
        source = source.replace(f"({called[2]}, {answer})[1]", answer)
    made = nbformat.v4.new_code_cell(source)
    made.metadata = nbformat.from_dict({"d2l": {"control": kind, "name": called[1]}})
    return [made]


def _keep_verdicts(nb, held):
    """Leave of the tests the graded ones, and of what those put out the error, if they failed."""
    marks = [cell.metadata.get("d2l", {}) for cell in nb.cells]
    pairs = [(cell, mark) for cell, mark in zip(nb.cells, marks, strict=True)]
    nb.cells = [cell for cell, mark in pairs if not mark or "nbgrader" in cell.metadata]
    for cell, mark in pairs:
        if "test" in mark and "nbgrader" in cell.metadata:
            outputs = [] if mark.test in held else cell.outputs
            cell.outputs = [out for out in outputs if out.output_type == "error"]
            if not cell.outputs and mark.test not in held:
                text = "no verdict"
                cell.outputs = [nbformat.v4.new_output("error", ename="Error", evalue=text)]


def _ended(kind, nb):
    """Say to the learner why a cell was left out."""
    return Text(
        "This cell ended the kernel, or could not be stopped ({kind}): the sheet was graded "
        "without it.",
        "这个单元格使内核终止，或者无法停下（{kind}）：评分时略过了它。",
    ).format(kind=kind).to(nb.metadata.get("d2l", {}).get("language", "en"))  # fmt: skip
