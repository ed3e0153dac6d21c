"""The engine of the checks: how an answer is run, what is shown, what a class needs.

Most is tried with one exercise, `dropout.layer`; `test_exercises` tries every exercise.
"""

import importlib
import logging
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import types
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn

import d2lutils as d2l
from d2lutils import checks
from d2lutils.checks import exercise
from d2lutils.checks.expect import Wrong
from d2lutils.checks.grade import grade
from d2lutils.words import Text

# The package has a function of the same name.
run = importlib.import_module("d2lutils.checks.run")


# How an answer is run -----------------------------------------------------------------------------


@pytest.fixture
def short_limit(monkeypatch):
    if not hasattr(signal, "setitimer"):
        pytest.skip("Windows has no such timer, and no time limit")
    monkeypatch.setattr(run, "TIME_LIMIT", 0.3)


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
        return nn.functional.dropout(X, p)


@pytest.mark.parametrize("answer", [endless, swallows_everything, gives_up_when_stopped])
def test_an_endless_loop_ends(short_limit, answer, capfd):
    before = signal.getsignal(signal.SIGALRM)
    result = checks.check("dropout.layer", answer)
    assert result.diagnosis == "takes too long"
    assert "in line" in result.hint and "or the code is slow" in result.hint
    assert capfd.readouterr() == ("", "")
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_an_endless_loop_ends_beneath_an_import(short_limit, tmp_path, monkeypatch):
    text = "from d2lutils import checks\ndef answer(X, p):\n    while True:\n        X = X + p\n"
    text += "result = checks.check('dropout.layer', answer)\n"
    (tmp_path / "a_learners_module.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    # Without a limit it would never end.
    handler = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    watch = threading.Timer(5, lambda: os.kill(os.getpid(), signal.SIGINT))
    watch.start()
    try:
        result = importlib.import_module("a_learners_module").result
    finally:
        watch.cancel()
        signal.signal(signal.SIGALRM, handler)
    assert result.diagnosis == "takes too long" and "in line" in result.hint


def test_an_import_of_the_answer_is_not_stopped_halfway(short_limit, tmp_path, monkeypatch):
    slow = "import time\nend = time.time() + 1\nwhile time.time() < end:\n    pass\nwhole = True\n"
    (tmp_path / "a_slow_module.py").write_text(slow, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    def answer(X, p):
        import a_slow_module  # noqa: F401

        return endless(X, p)

    assert checks.check("dropout.layer", answer).diagnosis == "takes too long"
    assert sys.modules["a_slow_module"].whole


def test_a_timer_of_the_notebook_goes_on(short_limit):
    rung = []
    handler = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.8, 9)
        started = time.monotonic()
        assert checks.check("dropout.layer", endless).diagnosis == "takes too long"
        left, interval = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left < 0.8 and interval == 9
        while not rung and time.monotonic() < started + 5:
            time.sleep(0.01)
        assert rung[0] - started == pytest.approx(0.8, abs=0.3)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)


INTERRUPTED = """
import os, signal, sys, threading, time
import torch
from d2lutils import checks

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

def interrupt():  # while the first optimizer loads what it needs
    while "torch._dynamo" not in sys.modules:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
assert "torch._dynamo" not in sys.modules
print(checks.check("dropout.layer", torch.nn.functional.dropout).diagnosis)
print(checks.check("dropout.layer", torch.nn.functional.dropout).passed)
torch.optim.Adam([torch.zeros(1)])
"""


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends a process on Windows")
def test_an_interruption_while_torch_loads_leaves_a_whole_torch():
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, encoding="utf-8", timeout=120
    )
    assert done.stdout == "interrupted\nTrue\n", done.stderr


def test_a_check_works_in_another_thread():
    results = []
    thread = threading.Thread(
        target=lambda: results.append(checks.check("dropout.layer", nn.functional.dropout))
    )
    thread.start()
    thread.join()
    assert results[0].passed


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
    [SystemExit(0), NotAnException("hm"), RecursionError("deep"), BadMessage(),
     MemoryError(), StopIteration(3), ValueError("{braces} {0}"), ValueError("x" * 100_000)],
)  # fmt: skip
def test_any_exception_is_a_hint(error):
    result = checks.check("dropout.layer", raising(error))
    assert result.diagnosis == "raises an exception"
    assert type(error).__name__ in result.hint
    assert "raise error" in result.hint  # the learner's own line
    assert len(result.hint) < 1000


@pytest.mark.parametrize(
    ("error", "diagnosis"),
    [("SystemExit", "raises an exception"), ("KeyboardInterrupt", "interrupted"),
     ("ValueError", "cannot be used")],
)  # fmt: skip
def test_an_exception_without_a_line_of_the_learner_is_a_hint_too(error, diagnosis):
    namespace = {}
    code = f"def answer(X, p): raise {error}"
    exec(compile(code, "<nowhere>", "exec"), namespace)  # no source, as in installed code
    assert checks.check("dropout.layer", namespace["answer"]).diagnosis == diagnosis


def test_an_interruption_is_not_the_learners_mistake():
    result = checks.check("dropout.layer", raising(KeyboardInterrupt()))
    assert result.diagnosis == "interrupted"


def test_words_that_cannot_be_encoded_are_shown_all_the_same():
    def answer(X, p):
        print("\ud800", flush=True)
        raise ValueError("\ud800")

    result = checks.check("dropout.layer", answer)
    assert "ValueError" in result.hint and result._repr_html_().encode()


def test_what_the_answer_writes_to_can_be_written_to_later():
    kept = []

    def answer(X, p):
        kept.append(logging.StreamHandler())
        return nn.functional.dropout(X, p)

    assert checks.check("dropout.layer", answer).passed
    kept[0].stream.write("more")
    kept[0].stream.flush()


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


SETTINGS = {
    "device": (torch.get_default_device, torch.set_default_device, torch.device("meta")),
    "dtype": (torch.get_default_dtype, torch.set_default_dtype, torch.float64),
    "gradients": (torch.is_grad_enabled, torch.set_grad_enabled, False),
}


@pytest.fixture
def default_settings():
    yield
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)


@pytest.mark.parametrize(("get", "change", "other"), SETTINGS.values(), ids=SETTINGS)
def test_settings_of_torch_stay_and_do_not_matter(default_settings, get, change, other):
    def meddler(X, p):
        change(other)
        return nn.functional.dropout(X, p)

    before = get()
    checks.check("dropout.layer", meddler)
    assert get() == before
    assert torch.zeros(2).device.type == "cpu"  # what is said is also done
    change(other)
    for name, asked in checks.load().items():
        if asked.right:
            result = checks.check(name, asked.right, seed=0)
            assert result.passed, result
    assert get() == other


CONTEXTS = {
    "a default device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "inference mode": torch.inference_mode,
    "anomaly mode": torch.autograd.detect_anomaly,
    "errors of NumPy": lambda: np.errstate(all="raise"),
}


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
def test_what_surrounds_a_check_does_not_matter(context):
    with context():
        for name, asked in checks.load().items():
            answer = {"dropout.layer": nn.functional.dropout, "dropout.module": nn.Dropout}.get(
                name
            )
            if answer or asked.right:
                result = checks.check(name, answer or asked.right, seed=0)
                assert result.passed, result
    assert torch.zeros(2).device.type == "cpu"


LEFT_BEHIND = {  # how to leave it, and how to see it
    "anomaly mode": (lambda: torch.autograd.set_detect_anomaly(True), torch.is_anomaly_enabled),
    "deterministic mode": (
        lambda: torch.use_deterministic_algorithms(True),
        torch.are_deterministic_algorithms_enabled,
    ),
    "threads": (lambda: torch.set_num_threads(3), torch.get_num_threads),
    "autocast": (
        lambda: torch.set_autocast_enabled("cpu", True),
        lambda: torch.is_autocast_enabled("cpu"),
    ),
    "the working directory": (lambda: os.chdir(os.sep), os.getcwd),
    "the environment": (lambda: os.environ.pop("PATH"), lambda: dict(os.environ)),
    "the path of imports": (lambda: sys.path.append("here"), lambda: list(sys.path)),
    "a signal": (
        lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        lambda: signal.getsignal(signal.SIGINT),
    ),
    "errors of NumPy": (lambda: np.seterr(all="raise"), np.geterr),
    "digits of NumPy": (lambda: np.set_printoptions(precision=2), np.get_printoptions),
    "digits of torch": (
        lambda: torch.set_printoptions(precision=2),
        lambda: repr(torch.tensor(1 / 3)),
    ),
    "a hook of all nets": (
        lambda: nn.modules.module.register_module_forward_hook(print),
        lambda: dict(nn.modules.module._global_forward_hooks),
    ),
}


@pytest.mark.parametrize(("leave", "see"), LEFT_BEHIND.values(), ids=LEFT_BEHIND)
def test_what_an_answer_leaves_behind_is_put_back(leave, see):
    def meddler(X, p):
        leave()
        return nn.functional.dropout(X, p)

    before = see()
    checks.check("dropout.layer", meddler)
    assert see() == before


REPLACED = {
    "torch.rand": torch, "torch.nn.functional.relu": nn.functional, "torch.bernoulli": torch,
    "ReLU.forward": nn.ReLU, "Module.train": nn.Module, "Tensor.clone": torch.Tensor,
    "numpy.mean": np, "random.random": random, "time.time": time,
}  # fmt: skip


@pytest.mark.parametrize(("name", "place"), REPLACED.items(), ids=REPLACED)
def test_what_an_answer_replaces_is_named_and_put_back(name, place):
    attribute = name.rpartition(".")[2]
    before = getattr(place, attribute)

    def meddler(X, p):
        setattr(place, attribute, lambda *args: 0)
        return X * 2

    def remover(X, p):
        out = nn.functional.dropout(X, p)
        if attribute in vars(place):
            delattr(place, attribute)
        return out

    result = checks.check("dropout.layer", meddler)
    assert result.diagnosis == "library function replaced" and f"`{name}`" in result.hint
    assert getattr(place, attribute) is before
    checks.check("dropout.layer", remover)
    assert getattr(place, attribute) is before


FIRST = """
import os, sys, time, warnings
from torch.nn.functional import dropout
from d2lutils import checks
before = dict(os.environ), list(warnings.filters)
assert checks.check("dropout.layer", dropout).passed
assert (dict(os.environ), list(warnings.filters)) == before
"""


def test_the_first_check_leaves_nothing_behind():
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr


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
    first, same, other = (
        checks.check("dropout.layer", lambda X, p: X * 1.5, seed=seed) for seed in (1, 1, 2)
    )
    assert first == same
    assert first.hint != other.hint


def test_without_a_seed_the_inputs_are_fresh_and_the_result_knows_the_seed():
    first, second = (checks.check("dropout.layer", lambda X, p: X * 1.5) for _ in range(2))
    assert first.seed != second.seed
    assert checks.check("dropout.layer", lambda X, p: X * 1.5, seed=first.seed) == first


def test_an_unknown_exercise_is_an_error_that_names_a_near_one():
    with pytest.raises(ValueError, match="'dropout.layr': try dropout.layer"):
        checks.check("dropout.layr", len)
    with pytest.raises(ValueError, match="no exercise 3: try .*dropout.layer"):
        checks.check(3, len)


@pytest.mark.parametrize("name", [["dropout.layer"], {}, None, ""])
def test_what_is_no_name_is_an_error_too(name):
    with pytest.raises(ValueError, match="there is no exercise"):
        checks.check(name, len)


@pytest.mark.parametrize("seed", ["x", 1.5, True, 2**64, -1])
def test_what_is_no_seed_is_an_error(seed):
    with pytest.raises((TypeError, ValueError), match=f"seed={seed!r} is .*whole number"):
        checks.check("dropout.layer", nn.functional.dropout, seed=seed)
    assert checks.check("dropout.layer", nn.functional.dropout, seed=np.int64(3)).seed == 3


@pytest.mark.parametrize("name", ["dropout.layer", "dropout.dropconnect", "dropout.gaussian"])
def test_an_answer_that_works_entry_by_entry_is_not_too_slow(name):
    from tests.answers import RIGHT
    from tests.answers import dropout as answers

    assert answers
    for answer in RIGHT[name]:
        started = time.process_time()
        assert checks.check(name, answer).passed
        assert time.process_time() - started < run.TIME_LIMIT / 4


def test_a_suspect_is_named_only_if_it_explains_every_value():
    first_gap = lambda a, b: (abs((a - b).mean()), (a - b).std(ddof=1) / len(a) ** 0.5)  # noqa: E731
    assert checks.check("dropout.paired_difference", first_gap).diagnosis == "wrong value"


def test_check_is_public():
    assert d2l.check is checks.check


# How a result shows -------------------------------------------------------------------------------

HOSTILE = "</script><img src=x onerror=alert(1)> & \"q\" 'r'"


def failed(name, words):
    return checks.Result(name, False, words=(Text(words, words), Text(words, words)))


def test_text_of_the_learner_is_escaped():
    for error in (ValueError(HOSTILE), type(HOSTILE, (Exception,), {})(HOSTILE)):
        page = checks.check("dropout.layer", raising(error))._repr_html_()
        assert "<img" not in page and "<script" not in page and "</script" not in page
        assert "&lt;img" in page
        assert page.count("<div") == page.count("</div")
    page = failed(HOSTILE, HOSTILE)._repr_html_()
    assert "<img" not in page and "<script" not in page


def test_a_result_reads_well_in_a_terminal(monkeypatch):
    right = checks.check("dropout.layer", nn.functional.dropout)
    wrong = checks.check("dropout.layer", lambda X, p: X, seed=0)
    assert repr(right) == "✓ dropout.layer: right, on fresh random inputs"
    assert re.fullmatch(
        r"✗ dropout.layer: nothing dropped\n  .* with p = .*", repr(wrong), re.DOTALL
    )
    monkeypatch.setenv("D2L_LANGUAGE", "zh")
    assert repr(right) == "✓ dropout.layer: 正确，已用新的随机输入检验"
    assert re.fullmatch(r"✗ dropout.layer: 什么也没有丢弃\n  p = .*", repr(wrong))


def test_a_hint_without_one_of_its_values_is_an_error_at_once():
    with pytest.raises(KeyError, match="count"):
        Wrong("few", "太少", "{count} are few.", "{count} 个太少。", number=3)


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("passed", [True, False])
def test_a_result_has_contrast_on_any_ground(passed):
    """It brings its own ground, so that no theme can take its ink away."""
    result = checks.Result("dropout.layer", True) if passed else failed("dropout.layer", "`code`")
    page = result._repr_html_()
    ink, ground, *_ = (
        luminance(re.search(rf"[;\"]{what}:(#\w{{6}})", page)[1])
        for what in ("color", "background")
    )
    assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 7
    assert page.count("<code style=") == page.count("<code")  # a theme colours `code` as well


# Grading ------------------------------------------------------------------------------------------


def test_grade_is_silent_on_a_right_answer(capfd):
    assert grade("dropout.layer", nn.functional.dropout) is None
    assert capfd.readouterr() == ("", "")


FAKE = types.SimpleNamespace(passed=True, words=("", ""))
TAMPERING = {
    "d2l.check": lambda: mock.patch.object(d2l, "check", lambda *a, **k: FAKE),
    "checks.check": lambda: mock.patch.object(checks, "check", lambda *a, **k: FAKE),
    "run": lambda: mock.patch.object(run, "run", lambda *a, **k: FAKE),
    "Result": lambda: mock.patch.object(checks.Result, "passed", True, create=True),
    "expect": lambda: mock.patch("d2lexercises.dropout.expect", lambda *a, **k: None),
    "EXERCISES": lambda: mock.patch.dict(exercise.EXERCISES, clear=True),
    "sys.modules": lambda: mock.patch.dict(
        sys.modules, {"d2lutils.checks": types.SimpleNamespace(check=lambda *a: FAKE)}
    ),
}


@pytest.mark.parametrize("tamper", TAMPERING.values(), ids=TAMPERING)
def test_grade_is_not_fooled(tamper):
    with tamper():
        with pytest.raises(AssertionError, match="nothing dropped"):
            grade("dropout.layer", lambda X, p: X)
        grade("dropout.layer", nn.functional.dropout)


def test_grade_is_not_fooled_by_a_torch_that_takes_all_for_equal(monkeypatch):
    monkeypatch.setattr(torch, "allclose", lambda *args, **kwargs: True)
    with pytest.raises(AssertionError, match="torch was changed"):
        grade("dropout.layer", lambda X, p: X)


def test_grade_leaves_the_modules_as_they_were():
    before = {m: v for m, v in sys.modules.items() if m.startswith("d2lutils")}
    grade("dropout.layer", nn.functional.dropout)
    assert {m: v for m, v in sys.modules.items() if m.startswith("d2lutils")} == before
    assert d2l.checks is checks
