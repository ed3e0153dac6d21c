"""The exercises: each accepts right answers and says what is wrong with others.

Most answers here come with an exercise: what is right, the solution of its page, and the usual
mistakes. `answers` holds those that are written by hand besides, and the wrappers below make a
wrong answer out of any right one.
"""

import functools
import importlib
import pkgutil
import re

import numpy as np
import pytest
import torch
from torch import nn

from book.pages import NOTEBOOKS, cells, run_cells
from d2lutils import checks, words
from tests import answers
from tests.answers import RIGHT, WRONG

for found in pkgutil.iter_modules(answers.__path__, f"{answers.__name__}."):
    importlib.import_module(found.name)

EXERCISES = dict(sorted(checks.load().items()))
every_exercise = pytest.mark.parametrize("name", EXERCISES)


@functools.cache
def solutions():
    """The answers that the pages themselves give, by the names of their exercises."""
    found = {}
    for page in NOTEBOOKS:
        for cell in cells(page, "code"):
            if asked := re.match(r'd2l\.check\("([\w.]+)", (\w+)\)', cell["source"]):
                solution = cell["id"].replace("-check", "-solution")
                found[asked[1]] = run_cells(page, "imports", solution)[asked[2]]
    return found


def right_answers(name):
    own = EXERCISES[name].right
    return ([own] if own else []) + [solutions()[name]] + RIGHT[name]


def wrong_answers():
    """All that there are, each with the diagnosis that it must draw, as named parameters."""
    for name, exercise in EXERCISES.items():
        for mistake in exercise.mistakes:
            yield pytest.param(
                name, mistake.diagnosis, mistake.gives, id=f"{name}: {mistake.diagnosis}"
            )
        for diagnosis, answer in WRONG[name]:
            yield pytest.param(name, diagnosis, answer, id=f"{name}: {answer.__name__}")


@pytest.fixture(autouse=True)
def both_languages(monkeypatch):
    """Every text that a check fills in says the same in both languages, as far as one can count."""
    filled_in = re.compile(r"\{\w+\}|`[^`]+`")
    fill_in, seen = words.Text.format, []

    def noted(text, **values):
        seen.append(text)
        return fill_in(text, **values)

    monkeypatch.setattr(words.Text, "format", noted)
    yield
    for text in seen:
        assert sorted(filled_in.findall(text.en)) == sorted(filled_in.findall(text.zh)), text
        assert re.search("[\u4e00-\u9fff]", text.zh), text


# What the exercises accept and what they catch ----------------------------------------------------


def test_answers_belong_to_exercises():
    assert set(RIGHT) | set(WRONG) <= set(EXERCISES) == set(solutions())


@every_exercise
def test_every_exercise_has_its_answers(name):
    assert re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", name)
    assert len(right_answers(name)) >= 2
    assert len(EXERCISES[name].mistakes) + len(WRONG[name]) >= 5


@pytest.mark.parametrize("seeds", [50, pytest.param(200, marks=pytest.mark.everything)])
@every_exercise
def test_right_answers_pass_with_every_seed(name, seeds):
    among = right_answers(name)
    for seed in range(seeds):
        answer = among[seed % len(among)]
        result = checks.check(name, answer, seed=seed)
        assert result.passed, f"{answer.__name__}, seed {seed}: {result}"


@pytest.mark.parametrize(("name", "diagnosis", "answer"), list(wrong_answers()))
def test_a_wrong_answer_draws_its_hint(name, diagnosis, answer):
    for seed in range(5):
        result = checks.check(name, answer, seed=seed)
        assert not result.passed, f"accepted with seed {seed}"
        assert result.diagnosis == diagnosis, f"seed {seed}: {result}"
        assert re.search("[\u4e00-\u9fff]", result.words[0].zh)
        assert result.hint[-1] in ".?!)" or ": " in result.hint


# What every exercise must catch -------------------------------------------------------------------


def stub(name, body="..."):
    """What the student version holds: the right signature, and nothing in the body."""
    function, _, parameters = EXERCISES[name].call.rstrip(")").partition("(")
    namespace = {"nn": nn, "torch": torch}
    if function[0].isupper():
        code = (
            f"class {function}(nn.Module):\n"
            f"    def __init__(self, {parameters}):\n        super().__init__()\n"
            f"    def forward(self, X):\n        {body}"
        )
    else:
        code = f"def {function}({parameters}):\n    {body}"
    exec(code, namespace)
    return namespace[function]


@every_exercise
def test_what_is_not_yet_solved_fails(name):
    for answer in (stub(name), ..., None):
        result = checks.check(name, answer, seed=0)
        assert not result.passed
        if not isinstance(answer, type):  # a class without its solution is told what it lacks first
            assert result.diagnosis == "nothing returned", result


USELESS = [
    "return 'text'", "return 3.7", "return {}", "return ()", "return object()", "return [None]",
    "return nn.Linear(2, 2)", "yield 1", "return float('nan')", "return (1, 2, 3)",
    "return torch.zeros(())", "return torch.zeros(3, 0)", "return torch.full((2, 2), 1j)",
]  # fmt: skip


@every_exercise
def test_a_value_of_no_use_is_a_hint(name):
    for body in USELESS:
        result = checks.check(name, stub(name, body), seed=0)
        assert not result.passed and result.hint, body
        assert result.diagnosis != "raises an exception", f"{body}: {result}"


@every_exercise
def test_what_cannot_be_called_so_is_a_hint(name):
    call = EXERCISES[name].call
    for answer in (lambda: None, lambda a, b, c, d, e, f, g: None):
        result = checks.check(name, answer, seed=0)
        assert result.diagnosis == "wrong parameters" and call in result.hint
    for answer in (3, "text", torch.zeros(3), [len]):
        assert checks.check(name, answer, seed=0).diagnosis == "not a function"


@every_exercise
def test_an_exception_in_the_answer_is_a_hint(name):
    answer = stub(name, "raise ZeroDivisionError('no such luck')")
    if isinstance(answer, type):
        answer.__init__ = answer.forward
    assert "no such luck" in checks.check(name, answer, seed=0).hint


# Wrong answers that are made out of a right one ---------------------------------------------------

# What they return is right in another dtype too.
ANY_DTYPE = {"weight_decay.soft_threshold"}


def spoilt(answer, spoil):
    """The answer, and whatever it returns goes through `spoil(value, arguments)` first."""

    @functools.wraps(answer)
    def wrong(*arguments):
        return spoil(answer(*arguments), arguments)

    return wrong


def in_place(i):
    """What changes argument i."""

    def spoil(value, arguments):
        if isinstance(arguments[i], list):
            arguments[i].append(arguments[i].pop(0))
        else:
            with torch.no_grad():
                numbers = arguments[i]
                numbers += 1
        return value

    return spoil


def other_dtype(value, arguments):
    return value.to(torch.float32 if value.dtype == torch.float64 else torch.float64)


def ways_to_spoil(name, value, arguments):
    """Yield ways that suit a call of a right answer, and what each leads to."""
    # A list may be an iterator of batches, which training goes through in its own way.
    kept = (torch.Tensor, np.ndarray, list) if EXERCISES[name].right else torch.Tensor
    for i, argument in enumerate(arguments):
        if isinstance(argument, kept):
            yield in_place(i), "input changed in place"
    if isinstance(value, (int, float)):
        yield lambda value, arguments: [value], "not one number"
    if not isinstance(value, torch.Tensor):
        return
    yield (
        lambda value, arguments: (value,),
        "wrong type returned" if value.ndim else "not one number",
    )
    if value.ndim and value.is_floating_point() and name not in ANY_DTYPE:
        yield other_dtype, "dtype changed"
    if value.requires_grad:
        yield lambda value, arguments: value.detach(), "no gradient"


@every_exercise
def test_a_spoilt_right_answer_draws_its_hint(name):
    answer, calls = right_answers(name)[0], []
    if isinstance(answer, type):
        pytest.skip("a class")

    def note(value, arguments):
        calls.append((value, arguments))
        return value

    assert checks.check(name, spoilt(answer, note), seed=0).passed
    for spoil, diagnosis in ways_to_spoil(name, *calls[0]):
        result = checks.check(name, spoilt(answer, spoil), seed=0)
        assert result.diagnosis == diagnosis, f"{spoil.__qualname__}: {result}"
