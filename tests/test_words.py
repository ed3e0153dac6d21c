"""The words of the module: one language at a time, and nothing left untranslated."""

import importlib
import json
import pkgutil
import re
from pathlib import Path

import pytest

import d2lutils
from d2lutils import checks, words
from tests import answers

PACKAGE = Path(words.__file__).parent
OTHERS = words.LANGUAGES[1:]
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
            ({"JPY_SESSION_NAME": "C:\\book\\zh\\index.ipynb"}, "zh"),
            ({"JPY_SESSION_NAME": "/book/zh/index.ipynb", "D2L_LANGUAGE": "en"}, "en"),
        ],
    )
    def test_is_that_of_the_notebook(self, monkeypatch, environment, expected):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert words.language() == expected


class TestSay:
    def test_fills_in_and_translates_what_it_fills_in(self):
        hint = "The net came in {mode} mode; measure it in the mode it is in, and leave it there."
        assert words.say(hint, "en", mode="train").startswith("The net came in train mode")
        assert "训练" in words.say(hint, "zh", mode="train")

    def test_code_is_not_translated(self):
        hint = "Your code changed the values of `{name}` itself, which belongs to the caller. "
        hint += "Work on a new tensor: `{name} * mask`, not `{name} *= mask`."
        assert "`loss * mask`" in words.say(hint, "zh", name="loss")

    def test_braces_of_a_text_without_values_stay(self):
        assert words.say("{x}", "en") == words.say("{x}", "zh") == "{x}"

    def test_what_is_not_translated_stays_english(self):
        assert words.say("no such text", "zh") == "no such text"


class TestSpans:
    def test_one_language_is_seen(self, monkeypatch):
        texts = {"en": "a < b", "zh": "甲"}
        assert words.spans(texts) == (
            '<span class="d2l-words" lang="en">a &lt; b</span>'
            '<span class="d2l-words" lang="zh" hidden>甲</span>'
        )
        monkeypatch.setenv("D2L_LANGUAGE", "zh")
        assert '<span class="d2l-words" lang="en" hidden>' in words.spans(texts)

    def test_the_first_stands_in_for_a_language_that_is_missing(self, monkeypatch):
        monkeypatch.setenv("D2L_LANGUAGE", "zh")
        assert words.spans({"en": "text"}) == '<span class="d2l-words" lang="en">text</span>'


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
            yield from within(vars(importlib.import_module(module.name)).copy())
    script = (PACKAGE / "explorer" / "words.js").read_text("utf-8")
    yield from (words.Text(*pair) for pair in re.findall(r'en: "(.*?)", zh: "(.*?)" }', script))


def test_texts_keep_what_is_filled_in():
    found = list(texts())
    assert len(found) > 60
    for text in found:
        assert sorted(FIELDS.findall(text.en)) == sorted(FIELDS.findall(text.zh)), text


@pytest.mark.parametrize("to", OTHERS)
class TestTranslations:
    def test_keep_what_is_filled_in_and_all_code(self, to):
        for english, text in words._translations(to).items():
            assert sorted(FIELDS.findall(english)) == sorted(FIELDS.findall(text)), english
            code = re.compile(r"`[^`]+`")
            assert sorted(code.findall(english)) == sorted(code.findall(text)), english

    def test_say_every_diagnosis_and_hint_that_wrong_answers_draw(self, to):
        translated = words._translations(to)
        for name, wrong in answers.WRONG.items():
            for _, answer in wrong:
                result = checks.check(name, answer, seed=0)
                assert result.diagnosis in translated, (name, result.diagnosis)
                assert result.template in translated, (name, result.template)

    def test_hold_nothing_that_the_module_does_not_say(self, to):
        code = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
        said = re.sub(r'"\s*\n?\s*"', "", "\n".join(code)).replace("\\u202f", "\u202f")
        for english in words._translations(to):
            assert json.dumps(english, ensure_ascii=False)[1:-1] in said, english
