"""The checks of the exercises: they accept right answers and say what is wrong with others."""

import ast
import importlib
import pkgutil
import random
import re
import string
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import d2lutils as d2l
from d2lutils import checks
from d2lutils.checks import base
from d2lutils.checks.grade import grade
from tests import answers
from tests.answers import RIGHT, WRONG

for found in pkgutil.iter_modules(answers.__path__, f"{answers.__name__}."):
    importlib.import_module(found.name)

NAMES = sorted(base.TASKS)
every_task = pytest.mark.parametrize("name", NAMES)
counts = Counter()  # of what this run has seen; printed at the end
slowest = {}


def each(registry):
    """All answers of a registry, as parameters that name themselves."""
    return pytest.mark.parametrize(
        ("name", "diagnosis", "answer"),
        [
            pytest.param(name, diagnosis, answer, id=f"{name}: {answer.__name__}")
            for name in sorted(registry)
            for diagnosis, answer in registry[name]
        ],
    )


def timed_check(name, answer, seed):
    start = time.process_time()
    result = checks.check(name, answer, seed=seed)
    slowest[name] = max(slowest.get(name, 0), time.process_time() - start)
    return result


# What the checks accept and what they catch -------------------------------------------------------


def test_answers_belong_to_checks():
    assert set(RIGHT) | set(WRONG) <= set(NAMES)


@every_task
def test_every_check_has_its_answers(name):
    assert len({a for _, a in RIGHT[name]}) >= 3
    assert len({a for _, a in WRONG[name]}) >= 5
    assert re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", name)


@each(WRONG)
def test_a_wrong_answer_draws_its_hint(name, diagnosis, answer):
    for seed in range(5):
        result = checks.check(name, answer, seed=seed)
        assert not result.passed, f"accepted with seed {seed}"
        assert result.diagnosis == diagnosis, f"seed {seed}: {result}"
        assert result.hint[-1] in ".?!)" or ": " in result.hint
    counts["wrong"] += 1


@each(RIGHT)
def test_a_right_answer_passes_with_every_seed(name, diagnosis, answer):
    among = [a for _, a in RIGHT[name]]
    for seed in range(among.index(answer), 200, len(among)):  # 200 seeds a check, shared out
        result = timed_check(name, answer, seed)
        assert result.passed, f"seed {seed}: {result}"
        counts["seeds"] += 1
    counts["right"] += 1


def parameters(name):
    return base.TASKS[name].call.partition("(")[2].rstrip(")")


def stub(name, body="..."):
    """What the student version holds: the right signature, and nothing in the body."""
    function = base.TASKS[name].call.partition("(")[0]
    namespace = {"nn": nn}
    if function[0].isupper():
        code = (
            f"class {function}(nn.Module):\n"
            f"    def __init__(self, {parameters(name)}):\n        super().__init__()\n"
            f"    def forward(self, X):\n        {body}"
        )
    else:
        code = f"def {function}({parameters(name)}):\n    {body}"
    exec(code, namespace)
    return namespace[function]


@every_task
def test_what_is_not_yet_solved_fails(name):
    for answer in (stub(name), ..., None):
        result = checks.check(name, answer, seed=0)
        assert not result.passed
        if not isinstance(answer, type):  # a class without its solution is told what it lacks first
            assert result.diagnosis == "nothing returned", result


@every_task
@pytest.mark.parametrize(
    "body",
    ["return 'text'", "return 3.7", "return {}", "return ()", "return object()", "return [None]",
     "return nn.Linear(2, 2)", "yield 1", "return float('nan')", "return (1, 2, 3)",
     "import torch; return torch.zeros(())", "import torch; return torch.zeros(3, 0)",
     "import torch; return torch.full((2, 2), 1j)"],
)  # fmt: skip
def test_a_value_of_no_use_gives_a_hint(name, body):
    result = checks.check(name, stub(name, body), seed=0)
    assert not result.passed
    assert result.diagnosis and result.hint
    assert result.diagnosis != "raises an exception", result


@every_task
def test_an_exception_in_the_answer_is_a_hint(name):
    answer = stub(name, "raise ZeroDivisionError('no such luck')")
    if isinstance(answer, type):
        answer.__init__ = answer.forward
    result = checks.check(name, answer, seed=0)
    assert not result.passed
    assert "no such luck" in result.hint


@every_task
def test_wrong_parameters_are_a_hint(name):
    for answer in (lambda: None, lambda a, b, c, d, e, f, g: None):
        result = checks.check(name, answer, seed=0)
        assert result.diagnosis == "wrong parameters"
        assert base.TASKS[name].call in result.hint


@every_task
def test_something_else_than_a_function_is_a_hint(name):
    for answer in (3, "text", torch.zeros(3), [len]):
        assert checks.check(name, answer, seed=0).diagnosis == "not a function"


# How an answer is run -----------------------------------------------------------------------------


@pytest.fixture
def short_limit(monkeypatch):
    monkeypatch.setattr(base, "TIME_LIMIT", 0.3)


def endless(X, p):
    while True:
        X = X + p


def swallows_everything(X, p):
    end = time.time() + 3  # or it would run until the tests end
    while time.time() < end:
        try:
            time.sleep(0.01)
        except BaseException:
            pass


def gives_up_when_stopped(X, p):
    try:
        endless(X, p)
    except BaseException:
        return torch.nn.functional.dropout(X, p)


@pytest.mark.parametrize("answer", [endless, swallows_everything, gives_up_when_stopped])
def test_an_endless_loop_ends(short_limit, answer, capfd):
    start = time.time()
    result = checks.check("dropout.layer", answer)
    assert time.time() - start < 5
    assert result.diagnosis == "takes too long"
    assert "in line" in result.hint
    assert capfd.readouterr() == ("", "")


def test_a_stopped_thread_stays_silent_after_the_check(short_limit, monkeypatch):
    unhandled = []
    monkeypatch.setattr(threading, "excepthook", unhandled.append)
    before = set(threading.enumerate())
    # Nothing can be raised in it before it wakes up, and then the check is over.
    assert checks.check("dropout.layer", lambda X, p: time.sleep(1.8)).diagnosis == "takes too long"
    late = set(threading.enumerate()) - before
    assert late
    for thread in late:
        thread.join(5)
    assert not unhandled


class BadMessage(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class NotAnException(BaseException):
    pass


def raising(error):
    def answer(X, p):
        raise error

    return answer


@pytest.mark.parametrize(
    "error",
    [SystemExit(0), KeyboardInterrupt(), NotAnException("hm"), RecursionError("deep"), BadMessage(),
     MemoryError(), StopIteration(3), ValueError("{braces} {0}"), ValueError("x" * 100_000)],
)  # fmt: skip
def test_any_exception_is_a_hint(error):
    result = checks.check("dropout.layer", raising(error))
    assert result.diagnosis == "raises an exception"
    assert type(error).__name__ in result.hint
    assert "raise error" in result.hint  # the learner's own line
    assert len(result.hint) < 1000


def test_exit_does_not_leave_the_interpreter():
    assert checks.check("dropout.layer", lambda X, p: sys.exit()).diagnosis == "raises an exception"


def test_an_error_of_torch_names_the_line_of_the_learner():
    result = checks.check("dropout.layer", lambda X, p: X @ torch.zeros(1, 1))
    assert "X @ torch.zeros(1, 1)" in result.hint


def test_what_the_answer_prints_is_dropped(capfd):
    def chatty(X, p):
        for _ in range(1000):
            print("x" * 1000)
            print("y" * 1000, file=sys.stderr)
        return nn.functional.dropout(X, p)

    assert checks.check("dropout.layer", chatty).passed
    assert capfd.readouterr() == ("", "")


def test_the_random_numbers_and_the_default_dtype_of_the_notebook_stay():
    def meddler(X, p):
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.set_default_dtype(torch.float64)
        return torch.zeros_like(X)

    def state():
        legacy = np.random.get_state()  # noqa: NPY002
        return torch.get_rng_state().tolist(), random.getstate(), legacy[1].tolist(), legacy[2]

    before = state()
    assert not checks.check("dropout.layer", meddler, seed=1).passed
    assert state() == before
    assert torch.get_default_dtype() == torch.float32
    assert checks.check("dropout.layer", nn.functional.dropout, seed=1).passed
    assert state() == before


def test_a_seed_repeats_a_check():
    results = [
        checks.check("dropout.layer", lambda X, p: X * 1.5, seed=seed).hint for seed in (1, 1, 2)
    ]
    assert results[0] == results[1] != results[2]


def test_without_a_seed_the_inputs_are_fresh_and_the_result_knows_the_seed():
    first, second = (checks.check("dropout.layer", lambda X, p: X * 1.5) for _ in range(2))
    assert first.seed != second.seed
    again = checks.check("dropout.layer", lambda X, p: X * 1.5, seed=first.seed)
    assert again == first


def test_an_unknown_exercise_is_an_error_that_names_a_near_one():
    with pytest.raises(ValueError, match="'dropout.layr': try dropout.layer"):
        checks.check("dropout.layr", len)
    with pytest.raises(ValueError, match="no exercise 3: try .*dropout.layer"):
        checks.check(3, len)


def test_check_is_public():
    assert d2l.check is checks.check


# How a result shows -------------------------------------------------------------------------------

HOSTILE = "</script><img src=x onerror=alert(1)> & \"q\" 'r'"


def test_text_of_the_learner_is_escaped():
    for error in (ValueError(HOSTILE), type(HOSTILE, (Exception,), {})(HOSTILE)):
        page = checks.check("dropout.layer", raising(error))._repr_html_()
        assert "<img" not in page and "<script" not in page and "</script" not in page
        assert "&lt;img" in page
        assert page.count("<div") == page.count("</div")
    page = base.Result(HOSTILE, False, HOSTILE, HOSTILE)._repr_html_()
    assert "<img" not in page and "<script" not in page


def test_a_result_reads_well_in_a_terminal():
    right = checks.check("dropout.layer", nn.functional.dropout)
    assert repr(right) == "✓ dropout.layer: right, on fresh random inputs"
    wrong = repr(checks.check("dropout.layer", lambda X, p: X, seed=0))
    assert re.fullmatch(r"✗ dropout.layer: nothing dropped\n  .* with p = .*", wrong, re.DOTALL)


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("passed", [True, False])
def test_a_result_has_contrast_on_any_ground(passed):
    """It brings its own ground, so that no theme can take its ink away."""
    page = base.Result("dropout.layer", passed, "diagnosis", "hint with `code`")._repr_html_()
    ink, ground, *_ = (
        luminance(re.search(rf"[;\"]{what}:(#\w{{6}})", page)[1])
        for what in ("color", "background")
    )
    assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 7
    assert page.count("<code style=") == page.count("<code")  # a theme colours `code` as well


# Templates ----------------------------------------------------------------------------------------


def check_sources():
    return sorted(Path(checks.__file__).parent.glob("*.py"))


def constants(node):
    """The string constants that an expression chooses from; an error if it builds one."""
    if isinstance(node, ast.IfExp):
        return constants(node.body) + constants(node.orelse)
    if isinstance(node, ast.Name):
        return []  # a constant of the module or what a caller hands over: read there
    assert isinstance(node, ast.Constant) and isinstance(node.value, str), (
        f"line {node.lineno}: not a plain string, so it cannot be translated"
    )
    return [node.value]


def fields(template):
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


@pytest.mark.parametrize("source", check_sources(), ids=lambda path: path.name)
def test_hints_are_plain_templates(source):
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("expect", "Wrong"):
            words = node.args[1:3] if node.func.id == "expect" else node.args[:2]
            given = {keyword.arg for keyword in node.keywords}  # None stands for `**values`
            for template in [text for word in words for text in constants(word)]:
                assert None in given or fields(template) <= given, f"line {node.lineno}: {template}"
        if isinstance(node, ast.Dict):  # of suspects: a diagnosis, the value, the hint
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(value, ast.Tuple) and len(value.elts) == 2:
                    for template in constants(key) + constants(value.elts[1]):
                        assert not fields(template) - {"what"}, f"line {node.lineno}: {template}"


# Grading ------------------------------------------------------------------------------------------


def test_grade_is_silent_on_a_right_answer(capfd):
    assert grade("dropout.layer", nn.functional.dropout) is None
    assert capfd.readouterr() == ("", "")


@every_task
def test_grade_raises_on_the_stub(name):
    with pytest.raises(AssertionError, match=": "):
        grade(name, stub(name))


TAMPERING = {
    "d2l.check": "d2l.check = lambda *a, **k: None",
    "checks.check": "import d2lutils.checks as c; c.check = lambda *a, **k: fake",
    "run": "import d2lutils.checks.base as b; b.run = lambda *a, **k: fake",
    "Result": "import d2lutils.checks.base as b; b.Result.passed = True",
    "expect": "import d2lutils.checks.dropout as m; m.expect = lambda *a, **k: None",
    "TASKS": "import d2lutils.checks.base as b; b.TASKS.clear()",
    "sys.modules": "import sys; sys.modules['d2lutils.checks.base'] = fake",
}


@pytest.mark.parametrize("tampering", TAMPERING.values(), ids=TAMPERING)
def test_grade_is_not_fooled(tampering):
    code = f"""
import types
import d2lutils as d2l
fake = types.SimpleNamespace(passed=True, diagnosis="", hint="", check=lambda *a: fake)
{tampering}
from d2lutils.checks.grade import grade
try:
    grade("dropout.layer", lambda X, p: X)
except AssertionError as error:
    print(error)
grade("dropout.layer", __import__("torch").nn.functional.dropout)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "nothing dropped" in run.stdout


def test_grade_leaves_the_modules_as_they_were():
    before = {m: v for m, v in sys.modules.items() if m.startswith("d2lutils")}
    package = d2l.checks
    grade("dropout.layer", nn.functional.dropout)
    assert {m: v for m, v in sys.modules.items() if m.startswith("d2lutils")} == before
    assert d2l.checks is package


def test_counts_of_this_run(record_property):
    """Last, for the log: what the tests above have seen."""
    worst = max(slowest, key=slowest.get, default="none")
    record_property(
        "summary",
        f"{len(NAMES)} checks: {counts['wrong']} wrong answers caught with the right hint, each for"
        f" 5 seeds; {counts['right']} right answers with {counts['seeds']} seeds, 0 false alarms;"
        f" slowest: {worst}, {slowest.get(worst, 0):.2f} s of CPU time",
    )
