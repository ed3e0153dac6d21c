"""Downloaded notebooks run where nothing of this repository is."""

import os
import re
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import nbformat
import pytest

import d2lutils.words
from book import standalone as standalone_module
from book.pages import BOOK, NOTEBOOKS
from book.standalone import build_wheel, requirements, standalone

COLAB = ["ipywidgets==7.7.1", "ipython==7.34", "ipykernel==6.17"]
EDITIONS = BOOK.parent
ROOT = EDITIONS.parent
PAGES = ["en/overfitting/fashion_mnist", "zh/weight_decay/exercises"]
if os.environ.get("EVERYTHING") == "1":  # make test-all
    PAGES += [page.relative_to(EDITIONS).with_suffix("").as_posix() for page in NOTEBOOKS]
    PAGES = list(dict.fromkeys(PAGES))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """A Python with Colab's ipywidgets, IPython and kernel, and without d2lutils.

    torch and the like are those of the running Python, below: installing them anew takes minutes.
    The d2lutils of the repository is not found that way, being installed as an editable one.
    """
    home = tmp_path_factory.mktemp("colab")
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    site = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    )
    Path(site.strip(), "below.pth").write_text(sysconfig.get_path("purelib"))
    pip = [python, "-m", "pip", "install", "--quiet", "--ignore-installed"]
    subprocess.run([*pip, *COLAB], check=True)
    return python


def test_a_wheel_is_the_same_whenever_and_by_whomever_it_is_built(wheel, tmp_path, monkeypatch):
    skip = shutil.ignore_patterns("_build", "build", ".*", "*.egg-info", "__pycache__")
    root = shutil.copytree(ROOT, tmp_path / "a course", ignore=skip)
    for path in root.rglob("*.*"):
        os.utime(path, (1e9, 1e9))
        path.chmod(0o700)
    monkeypatch.setattr(standalone_module, "ROOT", root)
    assert build_wheel(tmp_path / "wheel").read_bytes() == wheel.read_bytes()


def read(page):
    return nbformat.read(EDITIONS / f"{page}.ipynb", as_version=4)


def take_away(page, wheel):
    return standalone(read(page), wheel, language=page[:2])


@pytest.mark.parametrize("page", PAGES)
def test_a_notebook_runs_in_an_empty_folder_with_the_versions_of_colab(
    page, wheel, colab, tmp_path
):
    nbformat.write(take_away(page, wheel), tmp_path / "page.ipynb")
    (tmp_path / "run.py").write_text(
        "import nbformat, nbclient, sys, IPython, ipykernel, ipywidgets\n"
        "print(ipywidgets.__version__, IPython.__version__, ipykernel.__version__)\n"
        "notebook = nbformat.read('page.ipynb', as_version=4)\n"
        "notebook.cells.append(nbformat.v4.new_code_cell(\n"
        "    'import d2lutils, IPython; print(d2lutils.__file__, IPython.__version__)'))\n"
        "nbclient.NotebookClient(notebook, timeout=600, kernel_name='python3').execute()\n"
        "print(notebook.cells[-1].outputs[0].text)\n"
        "nbformat.write(notebook, 'executed.ipynb')\n"
    )
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "D2L_"))
    }
    environment["PATH"] = f"{colab.parent}{os.pathsep}{environment['PATH']}"
    subprocess.run([colab, "-m", "pip", "uninstall", "--quiet", "--yes", "d2lutils"], check=True)
    done = subprocess.run(
        [colab, "run.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("7.7.1 7.34.0 6.17.0")
    assert f"{colab.parent.parent}/lib" in done.stdout and "7.34.0" in done.stdout.split("\n")[1]
    for cell in nbformat.read(tmp_path / "executed.ipynb", as_version=4).cells:
        if cell.cell_type == "code" and cell.source.startswith("d2l.check("):
            chinese = re.search("[\u4e00-\u9fff]", cell.outputs[0].data["text/plain"])
            assert bool(chinese) == page.startswith("zh/"), cell.outputs


@pytest.mark.parametrize("page", ["en/weight_decay/exercises", "zh/dropout/exercises"])
def test_exercises_come_without_solutions(page, wheel):
    text = nbformat.writes(take_away(page, wheel))
    assert "BEGIN SOLUTION" in nbformat.writes(read(page))
    assert "BEGIN SOLUTION" not in text and "HIDDEN TESTS" not in text and "grade(" not in text


def test_links_lead_to_the_published_pages_or_become_words(wheel):
    page = "en/weight_decay/mlp"
    links = re.compile(r"\]\((?!http)[^)#]*\.(?:ipynb|md|html)")
    assert links.search(nbformat.writes(read(page)))
    words = nbformat.writes(standalone(read(page), wheel))
    assert not links.search(words)
    address = "https://example.org/en/weight_decay/mlp.html"
    linked = nbformat.writes(standalone(read(page), wheel, address))
    assert "(https://example.org/en/weight_decay/linear_regression.html)" in linked


def test_the_first_code_cell_installs_and_changes_nothing_where_d2lutils_is(wheel, monkeypatch):
    monkeypatch.setenv("D2L_LANGUAGE", "")  # the cell sets it
    notebook = standalone(read("zh/index"), wheel, language="zh")
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    code = cell.source.replace("subprocess.run", "raise_if_called")
    exec(code, {})  # d2lutils is installed here, so pip is not asked
    assert "--no-deps" in code and wheel.name in code
    assert requirements(wheel)["torch"].startswith("torch")
    assert "pytest" not in requirements(wheel)
    assert d2lutils.words.language() == "zh"
