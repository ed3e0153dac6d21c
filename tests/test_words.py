"""The words of the module: one language at a time, and every text in all of them."""

import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import d2lutils
from d2lutils import words

PACKAGE = Path(words.__file__).parent
FIELDS = re.compile(r"\{(\w+)\}")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("D2L_LANGUAGE", raising=False)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)


class TestLanguage:
    @pytest.mark.parametrize(
        "environment, expected",
        [
            ({}, "en"),
            ({"D2L_LANGUAGE": "zh"}, "zh"),
            ({"D2L_LANGUAGE": "xx"}, "en"),
            ({"JPY_SESSION_NAME": "/home/me/course/book/zh/weight_decay/mlp.ipynb"}, "zh"),
            ({"JPY_SESSION_NAME": "/home/zh/course/book/en/index.ipynb"}, "en"),
            ({"JPY_SESSION_NAME": "/home/zh/index.ipynb"}, "en"),
            ({"JPY_SESSION_NAME": "/book/zh/course/book/en/index.ipynb"}, "en"),
            ({"JPY_SESSION_NAME": "/book/draft/course/book/zh/index.ipynb"}, "zh"),
            ({"JPY_SESSION_NAME": "book/en/book/zh/book/notes/index.ipynb"}, "zh"),
            ({"JPY_SESSION_NAME": "C:\\book\\zh\\index.ipynb"}, "zh"),
            ({"JPY_SESSION_NAME": "/book/zh/index.ipynb", "D2L_LANGUAGE": "en"}, "en"),
        ],
    )
    def test_is_that_of_the_notebook(self, monkeypatch, environment, expected):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert words.language() == expected


class TestShowable:
    @pytest.mark.parametrize(
        "encoding, text",
        [
            ("utf-8", "✓ λ‖w‖² 权重 …"),
            ("gbk", "+ λ‖w‖? 权重 …"),
            ("gb18030", "✓ λ‖w‖² 权重 …"),
            ("latin-1", "+ lambda?w?² ?? ..."),
            ("ascii", "+ lambda?w?? ?? ..."),
            (None, "✓ λ‖w‖² 权重 …"),
        ],
    )
    def test_leaves_what_the_terminal_can_show(self, monkeypatch, encoding, text):
        monkeypatch.setattr("sys.stdout", SimpleNamespace(encoding=encoding))
        assert words.showable("✓ λ‖w‖² 权重 …") == text

    @pytest.mark.parametrize(
        "environment",
        [
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            {"PYTHONIOENCODING": "gbk", "D2L_LANGUAGE": "zh"},
            {"PYTHONIOENCODING": "latin-1", "D2L_LANGUAGE": "zh"},
        ],
    )
    def test_a_result_can_be_printed_in_any_terminal(self, environment):
        code = (
            "import sys, d2lutils as d2l\n"
            "from torch.nn.functional import dropout\n"
            "print(d2l.check('dropout.layer', dropout), d2l.check('dropout.layer', lambda X, p: X))"
        )
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", code],
            env={**os.environ, **environment}, capture_output=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(b"+ dropout.layer") and b" x dropout.layer" in done.stdout


class TestText:
    def test_fills_in_words_in_each_language(self):
        text = words.Text("in {mode} mode", "处于{mode}模式")
        filled = text.format(mode=words.Text("train", "训练"))
        assert (filled.to("en"), filled.to("zh")) == ("in train mode", "处于训练模式")

    def test_one_language_is_seen(self, monkeypatch):
        text = words.Text("a < b", "甲")
        assert text.html() == (
            '<span class="d2l-words" lang="en">a &lt; b</span>'
            '<span class="d2l-words" lang="zh" hidden>甲</span>'
        )
        monkeypatch.setenv("D2L_LANGUAGE", "zh")
        assert '<span class="d2l-words" lang="en" hidden>' in text.html()
        assert str(text) == "甲"


class BadMessage(Exception):
    def __str__(self):
        raise self.args[0]


class TestErrorText:
    @pytest.mark.parametrize(
        "error, text",
        [(ValueError("no data"), "no data"), (ValueError(), "–"), (BadMessage(OSError()), "–"),
         (BadMessage(SystemExit()), "–"), (ValueError("\ud800"), "?"),
         (ValueError("x" * 500), "x" * 400 + " …")],
    )  # fmt: skip
    def test_is_short_and_can_be_sent(self, error, text):
        assert words.error_text(error) == text


class TestNumbers:
    @pytest.mark.parametrize(
        "value, text",
        [(0, "0"), (1e-5, "1e-5"), (1e-4, "1e-4"), (0.004, "0.004"), (30, "30"), (0.75, "0.75"),
         (2000, "2000"), (60_000, "60000"), (123456, "123456"), (1e7, "1e7")],
    )  # fmt: skip
    def test_read_as_they_are_typed(self, value, text):
        assert words.number(value) == text

    @pytest.mark.parametrize(
        "value, text", [(0.012345, "0.0123"), (1.5e-7, "1.5e-7"), (4e4, "4e4")]
    )
    def test_are_rounded_to_significant_digits(self, value, text):
        assert words.number(value, 3) == text


def texts():
    """All texts of the module that stand in both languages, and those of the explorer's script."""

    def within(value):
        if isinstance(value, words.Text):
            yield value
        elif isinstance(value, (dict, tuple)):
            for part in value.values() if isinstance(value, dict) else value:
                yield from within(part)

    for module in pkgutil.walk_packages(d2lutils.__path__, "d2lutils."):
        if not module.name.endswith("__main__"):
            names = vars(importlib.import_module(module.name))
            yield from within({name: names[name] for name in names if name[:2] != "__"})
    script = (PACKAGE / "explorer" / "words.js").read_text("utf-8")
    yield from (words.Text(*pair) for pair in re.findall(r'en: "(.*?)", zh: "(.*?)" }', script))


def test_texts_keep_what_is_filled_in():
    found = list(texts())
    assert len(found) > 60
    for text in found:
        assert sorted(FIELDS.findall(text.en)) == sorted(FIELDS.findall(text.zh)), text
