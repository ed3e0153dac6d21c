"""Downloaded notebooks run where nothing of this repository is."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement

import book.standalone as standalone_module
from book import runs
from book.pages import BOOK, NOTEBOOKS
from book.standalone import build_wheel, standalone
from book.unpack import unpacked

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
    done = subprocess.run(
        [colab, "run.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("7.7.1 7.34.0 6.17.0")
    version = wheel.name.split("-")[1]
    assert f"/wheels/{version}/d2lutils" in done.stdout and "7.34.0" in done.stdout.split("\n")[1]
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


def first_code(page="en/index", language="en", wheel=None):
    notebook = standalone(read(page), wheel, language=language)
    return next(cell.source for cell in notebook.cells if cell.cell_type == "code")


IMPORT = (
    "\nimport d2lutils, importlib.metadata as m; print(d2lutils.__file__, m.version('d2lutils'))"
)


class Machine:
    """A Python in an empty folder, with a home of its own; what it has comes from the running one.

    Links to the installed packages are what it sees of them, so that each can be left out.
    """

    def __init__(self, folder, without=()):
        self.folder, self.home, self.below = folder / "work", folder / "home", folder / "below"
        for path in (self.folder, self.home, self.below):
            path.mkdir()
        for path in Path(sysconfig.get_path("purelib")).iterdir():
            if not re.match(r"d2lutils|__editable__|.*\.pth$", path.name) and (
                path.name.partition("-")[0] not in without
            ):
                (self.below / path.name).symlink_to(path)
        venv.create(folder / "venv", symlinks=True)  # without pip, as uv makes it
        self.python = folder / "venv" / "bin" / "python"
        self.environment = {"HOME": str(self.home), "PYTHONPATH": str(self.below), "PATH": "/bin"}

    def start(self, code, **environment):
        if not (self.folder / "cell.py").exists():
            (self.folder / "cell.py").write_text(code, encoding="utf-8")
        return subprocess.Popen(
            [self.python, "cell.py"], cwd=self.folder, env={**self.environment, **environment},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip

    def run(self, code, **environment):
        process = self.start(code, **environment)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def unpacked(self, wheel):
        version = wheel.name.split("-")[1]
        return self.home / ".cache" / "d2lutils" / "wheels" / version


@pytest.fixture
def without_pip(tmp_path):
    return Machine(tmp_path, without=("pip",))


def test_the_first_cell_needs_no_pip_and_leaves_nothing_but_the_module(wheel, without_pip):
    code = first_code(wheel=wheel) + IMPORT
    folder, temporary = without_pip.unpacked(wheel), without_pip.home / "tmp"
    temporary.mkdir()
    for _ in range(2):
        status, out, err = without_pip.run(code, TMPDIR=str(temporary))
        assert (status, err) == (0, "")
        assert out.split() == [str(folder / "d2lutils" / "__init__.py"), folder.name]
    assert not list(temporary.iterdir())
    with zipfile.ZipFile(wheel) as files:
        there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        assert {name for name in there if "__pycache__" not in name} == set(files.namelist())
    assert [p.name for p in (without_pip.home / ".cache" / "d2lutils").iterdir()] == ["wheels"]


@pytest.mark.parametrize("imported", [True, False])
def test_the_notebooks_own_module_comes_before_any_other(wheel, without_pip, imported):
    for place in (without_pip.folder, without_pip.below):  # beside the notebook; installed
        (place / "d2lutils" / "panel").mkdir(parents=True)
        (place / "d2lutils" / "__init__.py").write_text("import d2lutils.panel\n")
        (place / "d2lutils" / "panel" / "__init__.py").write_text("import sys\n")
    before = "import d2lutils as d2l, d2lutils.panel\n" if imported else ""
    after = "\nimport d2lutils as d2l\nassert d2l.panel.__name__ == 'panel', d2l.panel\n"
    status, out, err = without_pip.run(before + first_code(wheel=wheel) + after + IMPORT)
    assert status == 0 and out.startswith(str(without_pip.unpacked(wheel))), err


def test_a_folder_of_the_modules_name_is_not_taken_for_it(wheel, without_pip):
    for name in ("d2lutils", "d2lexercises"):
        (without_pip.folder / name).mkdir()
    status, out, err = without_pip.run(first_code(wheel=wheel) + IMPORT)
    assert status == 0 and out.startswith(str(without_pip.unpacked(wheel))), err


def test_the_first_cell_run_again_keeps_what_is_imported(wheel, without_pip):
    code = first_code(wheel=wheel)
    again = f"{code}\nimport d2lutils as d2l\n{code}\nimport d2lutils\nassert d2lutils is d2l"
    assert without_pip.run(again)[0] == 0


def test_kernels_that_start_at_once_and_damage_do_no_harm(wheel, without_pip):
    code = first_code(wheel=wheel) + IMPORT
    for damage in (b"raise RuntimeError", None):
        started = [without_pip.start(code) for _ in range(3)]
        for process in started:
            out, err = process.communicate(timeout=300)
            assert process.returncode == 0 and out.startswith(str(without_pip.home)), err
        if damage is not None:
            (without_pip.unpacked(wheel) / "d2lutils" / "words.py").write_bytes(damage)


def test_without_a_cache_the_module_lies_in_a_temporary_folder_that_goes(wheel, without_pip):
    temporary = without_pip.home / "tmp"
    temporary.mkdir()
    (without_pip.home / ".cache").write_text("")  # a file in the place of the folder
    status, out, err = without_pip.run(first_code(wheel=wheel) + IMPORT, TMPDIR=str(temporary))
    assert status == 0 and out.startswith(str(temporary)), err
    assert not list(temporary.iterdir())


def test_a_user_without_a_home_gets_a_temporary_folder_too(wheel, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says its standard
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with zipfile.ZipFile(wheel) as files:
        folder = unpacked(files, "1")
    assert (folder / "d2lutils" / "words.py").exists() and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "language, sentence",
    [("en", "This notebook needs tqdm, which its Python lacks"), ("zh", "本笔记本需要 tqdm")],
)
def test_what_cannot_be_installed_is_one_sentence_with_its_command(
    wheel, tmp_path, language, sentence
):
    machine = Machine(tmp_path, without=("pip", "tqdm"))
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(first_code(f"{language}/index", language, wheel))]
    )
    nbformat.write(notebook, machine.folder / "page.ipynb")
    status, out, err = machine.run(
        "import nbformat, nbclient\n"
        "notebook = nbformat.read('page.ipynb', as_version=4)\n"
        "kernel = nbclient.NotebookClient(notebook, kernel_name='python3', allow_errors=True)\n"
        "kernel.execute()\n"
        "nbformat.write(notebook, 'executed.ipynb')\n",
        JUPYTER_PATH=str(Path(sys.prefix, "share", "jupyter")),
        PATH=f"{machine.python.parent}:/bin",
    )
    assert status == 0, err
    (output,) = nbformat.read(machine.folder / "executed.ipynb", as_version=4).cells[0].outputs
    text, *commands = output.traceback[0].split("\n")
    assert len(output.traceback) == 1 and text.startswith(sentence)
    assert commands == [
        f"{machine.python} -m ensurepip",
        f"{machine.python} -m pip install 'tqdm>=4.66,<5'",
    ]


def test_pip_installs_what_is_missing_also_where_it_makes_the_folder(wheel, tmp_path):
    machine = Machine(tmp_path, without=("tqdm",))
    machine.python = Path(sys.base_prefix, "bin", "python3")  # a venv has no user's own packages
    code = first_code(wheel=wheel) + "\nimport tqdm; print(tqdm.__file__)"
    status, out, err = machine.run(code, PIP_USER="1", **pip_settings())
    assert status == 0, err
    assert f"{machine.home}/.local/" in out and "Installing tqdm" in out


def test_what_pip_refuses_is_said_with_its_reason(wheel, tmp_path):
    machine = Machine(tmp_path, without=("tqdm", "scipy"))
    settings = pip_settings() | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(machine.home)}
    status, out, err = machine.run(first_code(wheel=wheel), **settings)
    text = err[err.index("This notebook needs") :]
    assert status == 1 and "needs scipy, tqdm, which its Python lacks, and pip could not" in text
    assert "(ERROR: Could not find a version that satisfies the requirement" in text
    assert text.rstrip().endswith("-m pip install 'scipy>=1.13,<2' 'tqdm>=4.66,<5'")


@pytest.mark.skipif(
    not Path(f"/usr/lib/python3.{sys.version_info[1]}/EXTERNALLY-MANAGED").exists(),
    reason="the system has no such Python that it manages",
)
def test_a_python_that_the_system_manages_is_left_alone(wheel, tmp_path):
    machine = Machine(tmp_path, without=("tqdm",))
    machine.python = Path("/usr/bin/python3")
    status, out, err = machine.run(first_code(wheel=wheel), **pip_settings())
    text, *commands = err[err.index("This notebook needs") :].rstrip().split("\n")
    assert status == 1 and "lets nothing be installed into that Python" in text
    assert commands == [
        "/usr/bin/python3 -m venv ~/d2l-venv",
        "~/d2l-venv/bin/pip install jupyterlab",
        "~/d2l-venv/bin/jupyter lab",
    ]


@pytest.mark.everything
def test_uv_installs_where_there_is_no_pip(wheel, tmp_path, colab):
    subprocess.run([colab, "-m", "pip", "install", "--quiet", "uv"], check=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "uv").symlink_to(colab.parent / "uv")
    machine = Machine(tmp_path, without=("pip", "tqdm"))
    settings = pip_settings() | {"PATH": f"{tmp_path / 'bin'}:/bin"}
    code = first_code(wheel=wheel) + "\nimport tqdm; print(tqdm.__file__)"
    status, out, err = machine.run(code, **settings)
    assert status == 0 and str(machine.python.parents[1]) in out, err


def pip_settings():
    """What says where packages come from on this machine."""
    names = ("PIP_", "UV_", "SSL_", "REQUESTS_", "HTTP_", "HTTPS_", "NO_PROXY", "no_", "http")
    return {name: value for name, value in os.environ.items() if name.startswith(names)}


@pytest.mark.parametrize("version", ["3.6", "3.7", "3.8", "3.9"])
def test_an_old_python_is_told_which_it_needs(wheel, tmp_path, version):
    found = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
    python = shutil.which(f"python{version}") if not found else found[0]
    # A shim of pyenv stands also for what is not installed.
    if not python or subprocess.run([python, "-c", ""], capture_output=True).returncode:
        pytest.skip(f"this machine has no Python {version}")
    (tmp_path / "cell.py").write_text(first_code(wheel=wheel), encoding="utf-8")
    done = subprocess.run([python, "cell.py"], cwd=tmp_path, capture_output=True, encoding="utf-8")
    last = done.stderr.rstrip().rpartition("\n")[2]
    assert f"needs Python 3.10 or newer, and its kernel is Python {version}:" in last


def test_the_first_cell_is_short_but_for_the_wheel(wheel):
    before, _, rest = first_code(wheel=wheel).partition('WHEEL = """\n')
    after = rest.partition('\n"""\n')[2]
    assert len(before.splitlines()) + len(after.splitlines()) <= 10


def test_the_language_of_the_notebook_is_that_of_the_module(wheel, without_pip):
    code = first_code("zh/index", "zh", wheel) + "\nfrom d2lutils import words"
    assert without_pip.run(code + "\nprint(words.language())")[1] == "zh\n"


def test_the_same_files_give_the_same_wheel(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first = build_wheel(tmp_path / "first")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("d2lutils", "d2lexercises"):
        shutil.copytree(runs.ROOT / name, copy / name)
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(runs.ROOT / name, copy)
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    for module in (runs, standalone_module):
        monkeypatch.setattr(module, "ROOT", copy)
    (copy / "d2lutils" / "notes.py~").write_text("an editor's copy")
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    second = build_wheel(tmp_path / "second")
    assert second.name == first.name and second.read_bytes() == first.read_bytes()
    assert re.fullmatch(r"d2lutils-0\.1\.0\+\w+-py3-none-any\.whl", first.name)
    (copy / "d2lutils" / "words.py").write_text("# another")
    third = build_wheel(tmp_path / "second")
    assert third.name != first.name and list(third.parent.iterdir()) == [third]


def test_the_wheel_is_one_that_pip_installs(wheel, tmp_path):
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", tmp_path, wheel], check=True)
    (metadata,) = importlib.metadata.distributions(name="d2lutils", path=[str(tmp_path)])
    with open(runs.ROOT / "pyproject.toml", "rb") as file:
        project = standalone_module.tomllib.load(file)["project"]
    assert [Requirement(need) for need in metadata.requires] == [
        Requirement(need) for need in project["dependencies"]
    ]
    assert metadata.metadata["Summary"] == project["description"]
    assert any(str(path).endswith("licenses/LICENSE") for path in metadata.files)
    installed = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("d2l*/**/*.*")}
    assert {file for file in installed if not file.endswith(".pyc")} >= {
        file.relative_to(runs.ROOT).as_posix() for file in runs.module_files()
    }
