"""Setting up: which build of torch the first `make` takes, and where it installs it."""

import base64
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
import threading
import time
import venv
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import install

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other paths, links and signals")


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A Linux machine without an NVIDIA GPU, whose user has decided nothing."""
    for name in install.DECIDED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(install, "NAMED", "")
    monkeypatch.setattr(install.platform, "system", lambda: "Linux")
    monkeypatch.setattr(install, "has_nvidia_gpu", lambda: False)
    return monkeypatch


@pytest.fixture
def index(machine):
    """An index that answers; the paths it was asked for."""
    asked = []

    class Index(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    machine.setattr(install, "CPU_INDEX", f"http://127.0.0.1:{server.server_port}/cpu")
    yield asked
    server.shutdown()


def test_an_index_that_answers_gives_the_cpu_build(index):
    options, choice = install.torch_options()
    assert options == ["--extra-index-url", install.CPU_INDEX]
    assert "CPU build" in choice and index == ["/cpu/torch/"]


@pytest.mark.parametrize("name", install.DECIDED)
def test_what_the_user_sets_for_pip_wins(index, machine, name):
    machine.setenv(name, "anything")
    options, choice = install.torch_options()
    assert options == [] and name in choice and not index


def test_a_gpu_gets_the_build_with_cuda(index, machine):
    machine.setattr(install, "has_nvidia_gpu", lambda: True)
    options, choice = install.torch_options()
    assert options == [] and "CUDA" in choice and not index


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
def test_other_systems_get_their_only_build(index, machine, system):
    machine.setattr(install.platform, "system", lambda: system)
    assert install.torch_options()[0] == [] and not index


def test_an_index_that_is_silent_refuses_or_is_no_address_is_given_up_in_time(machine, capfd):
    machine.setattr(install, "PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        taken = silent.getsockname()[1]
        for address in (f"http://127.0.0.1:{taken}", "http://127.0.0.1:9", "nowhere"):
            machine.setattr(install, "CPU_INDEX", address)
            start = time.monotonic()
            options, choice = install.torch_options()
            assert time.monotonic() - start < 2
            assert options == [] and "did not answer" in choice
    assert capfd.readouterr() == ("", "")


def test_a_mac_with_intel_is_told_which_python_torch_needs(machine):
    machine.setattr(install.platform, "system", lambda: "Darwin")
    machine.setattr(install.platform, "machine", lambda: "x86_64")
    machine.setattr(install.sys, "version_info", (3, 13, 0))
    with pytest.raises(SystemExit, match="torch needs Python 3.10 to 3.12"):
        install.main()


@pytest.mark.parametrize("name", install.DECIDED)
def test_an_index_that_the_user_names_is_taken_whatever_else_is_set(index, machine, name):
    machine.setattr(install, "NAMED", install.CPU_INDEX)
    machine.setattr(install, "has_nvidia_gpu", lambda: True)
    machine.setenv(name, "anything")
    options, choice = install.torch_options()
    if name == "PIP_NO_INDEX":  # there pip asks none
        assert options == [] and name in choice
    else:
        assert options == ["--extra-index-url", install.CPU_INDEX]
        assert f"D2L_TORCH_INDEX ({install.CPU_INDEX})" in choice


def test_an_index_that_the_user_names_and_that_is_silent_is_named(machine):
    for name in ("NAMED", "CPU_INDEX"):
        machine.setattr(install, name, "http://me:secret@127.0.0.1:9")
    options, choice = install.torch_options()
    assert options == [] and "D2L_TORCH_INDEX (http://…@127.0.0.1:9) did not answer" in choice


def test_pip_keeps_the_users_indexes_beside_the_one_for_torch(index, machine, tmp_path):
    machine.setattr(install, "NAMED", install.CPU_INDEX)
    machine.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/first")
    machine.setenv("PIP_EXTRA_INDEX_URL", "http://127.0.0.1:9/second")
    options, _ = install.torch_options()
    command = [sys.executable, "-m", "pip", "download", "-v", "--retries=0", "--timeout=1"]
    done = subprocess.run(
        [*command, *options, "--dest", str(tmp_path), "d2lutils-that-is-nowhere"],
        env=install.environment(), capture_output=True, encoding="utf-8",
    )  # fmt: skip
    (line,) = re.findall("Looking in indexes: (.*)", done.stdout)
    assert [part.strip() for part in line.split(",")] == [
        "http://127.0.0.1:9/first", "http://127.0.0.1:9/second", install.CPU_INDEX,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value, address",
    [
        ("", "https://download.pytorch.org/whl/cpu"),
        (" ", "https://download.pytorch.org/whl/cpu"),
        ("https://example.org/cpu/\n", "https://example.org/cpu"),
    ],
)
def test_the_index_is_read_as_a_person_writes_it(machine, value, address):
    machine.setenv("D2L_TORCH_INDEX", value)
    assert runpy.run_path(str(install.ROOT / "install.py"))["CPU_INDEX"] == address


def test_an_index_with_a_password_gets_it_and_nobody_else_does(machine, index):
    seen = []
    host = install.CPU_INDEX.removeprefix("http://")
    machine.setattr(BaseHTTPRequestHandler, "parse_request", _record(seen))
    machine.setattr(install, "CPU_INDEX", f"http://me:p%40ss@{host}")
    options, choice = install.torch_options()
    assert options == ["--extra-index-url", install.CPU_INDEX] and "p%40ss" not in choice
    assert seen == ["Basic " + base64.b64encode(b"me:p@ss").decode()]


def _record(seen, parse=BaseHTTPRequestHandler.parse_request):
    def parse_request(handler):
        done = parse(handler)
        seen.append(handler.headers["Authorization"])
        return done

    return parse_request


def test_pip_installs_into_the_environment_whatever_is_set_for_pip(machine):
    for name in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"):
        machine.setenv(name, "/elsewhere")
    machine.setenv("PIP_USER", "1")
    machine.setenv("PYTHONWARNINGS", "error")
    machine.setenv("PIP_CERT", "kept")
    seen = install.environment()
    assert seen["PIP_USER"] == "0" and seen["PIP_CERT"] == "kept"
    assert not {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONWARNINGS"} & set(seen)


def has_pip(python):
    return install.runs(python, "-m", "pip", "--version")


@posix
@pytest.mark.parametrize("case", ["none", "no pip", "a link", "a link to nowhere", "no Python"])
def test_an_environment_is_made_or_mended(tmp_path, case):
    home, target = tmp_path / ".venv", tmp_path / "elsewhere"
    if case == "no pip":
        venv.create(home)
    if case == "no Python":  # the system got another
        venv.create(home, symlinks=True)
        for path in (home / "bin").glob("python*"):
            path.unlink()
            path.symlink_to("/nowhere/python3")
    if case == "a link":
        target.mkdir()
    if "link" in case:
        home.symlink_to(target)
    assert has_pip(install.make_environment(home))
    assert has_pip(home / "bin" / "python") and home.is_symlink() == ("link" in case)


def test_a_folder_that_is_no_environment_is_kept(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SystemExit, match="is in the way of a virtual environment"):
        install.make_environment(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_good_environment_is_left_as_it_is(tmp_path):
    venv.create(tmp_path, with_pip=True)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    install.make_environment(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@posix
def test_sigterm_ends_pip_too(tmp_path):
    """As `make` passes it on, to install.py alone."""
    (tmp_path / "pip.py").write_text(
        "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(99)"
    )
    code = (
        "import install, pathlib, sys\n"
        "install.ROOT = pathlib.Path()\n"
        "install.make_environment = lambda home: sys.executable\n"
        "sys.argv[1:] = []\n"
        "install.main()\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{install.ROOT}"}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment)
    end = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.1)
    process.terminate()
    assert process.wait(timeout=20) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_unknown_extras_are_refused():
    done = subprocess.run(
        [sys.executable, str(install.ROOT / "install.py"), "tests"], capture_output=True,
        encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "install.py takes test, classroom or nothing, not 'tests'\n"


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml", "apt.txt", "runtime.txt"])
def test_what_pip_reads_is_ascii(name):
    """An older pip decodes it as the locale says."""
    assert (install.ROOT / name).read_bytes().isascii()


@pytest.mark.skipif(not shutil.which("git"), reason="there is no git")
def test_a_clone_for_windows_has_the_line_ends_of_the_repository(tmp_path):
    clone = ["git", "clone", "--quiet", "-c", "core.autocrlf=true", "-c", "core.eol=crlf"]
    subprocess.run([*clone, str(install.ROOT), str(tmp_path / "clone")], check=True)
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=tmp_path / "clone")
    files = [tmp_path / "clone" / name for name in listed.decode().strip("\0").split("\0")]
    assert len(files) > 100
    assert not [file for file in files if b"\r\n" in file.read_bytes()]
    assert subprocess.run(["bash", "-n", str(tmp_path / "clone" / ".ci" / "run")]).returncode == 0


@pytest.mark.parametrize("module", ["book.classroom.course", "book.translation"])
def test_commands_start_without_docstrings(module):
    command = [sys.executable, "-OO", "-m", module, "--help"]
    assert not subprocess.run(command, cwd=install.ROOT, capture_output=True).returncode


def test_make_does_not_pass_on_how_strict_python_is_to_be(tmp_path):
    if not shutil.which("make"):
        pytest.skip("there is no make")
    (tmp_path / "Makefile").write_text(
        f"include {install.ROOT / 'Makefile'}\nshow:\n\t@echo [$$PYTHONWARNINGS$$PYTHONOPTIMIZE]\n"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2"}
    shown = subprocess.check_output(["make", "-s", "show"], cwd=tmp_path, env=environment)
    assert shown == b"[]\n"
