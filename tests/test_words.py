"""The words of the module: one language at a time, and nothing left untranslated."""

import importlib
import json
import re
from pathlib import Path

import pytest

from d2lutils import checks, explorer, words
from tests import answers

panel = importlib.import_module("d2lutils.panel")  # its name in the package is the function's
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
        assert words.say("validation {metric} after training", "en", metric="loss") == (
            "validation loss after training"
        )
        assert "损失" in words.say("validation {metric} after training", "zh", metric="loss")

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


@pytest.mark.parametrize("to", OTHERS)
class TestTranslations:
    def test_keep_what_is_filled_in_and_all_code(self, to):
        for english, text in words._translations(to).items():
            assert sorted(FIELDS.findall(english)) == sorted(FIELDS.findall(text)), english
            code = re.compile(r"`[^`]+`")
            assert sorted(code.findall(english)) == sorted(code.findall(text)), english

    def test_say_every_word_of_the_explorer_and_the_panel(self, to):
        said = {*explorer._ENGLISH.values(), explorer._CAPTION, explorer._CAPTION_OF_SWEEP}
        said |= {explorer._INCOMPLETE, panel._OFFLINE, *panel._METRICS.values()}
        said |= {name for name, *_ in panel._SLIDERS.values() if len(name) > 2}
        code = (PACKAGE / "panel.py").read_text(encoding="utf-8")
        said |= set(re.findall(r'say\(\s*"([^"]+)"', code)) - {""}
        symbols = {"‖w‖"}
        assert said - symbols <= set(words._translations(to))

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
