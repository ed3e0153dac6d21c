"""d2lutils.fetch: whatever the route and whatever happens on it, only the published bytes count."""

import gzip
import http.server
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import tracemalloc
from pathlib import Path

import pytest
import torch
from torchvision.datasets import FashionMNIST

from d2lutils import fetch
from d2lutils.data import load_fashion_mnist
from d2lutils.fetch import RAW, fetch_fashion_mnist, read_fashion_mnist

NAMES = list(fetch.FILES)
SMALL = "t10k-labels-idx1-ubyte"
REPOSITORY = Path(__file__).parents[1]
NOWHERE = "http://127.0.0.1:9/"  # the discard port: refused at once
posix = pytest.mark.skipif(os.name == "nt", reason="forks, signals, users or limits of POSIX")


# ---------------------------------------------------------------- fixtures


@pytest.fixture(scope="session")
def content():
    """The files by a real route, in the usual cache."""
    return read_fashion_mnist()


@pytest.fixture(scope="session")
def packed(content):
    """A folder with the four .gz files, which other users may read."""
    with tempfile.TemporaryDirectory() as packed:
        os.chmod(packed, 0o755)
        for name, plain in content.items():
            Path(packed, f"{name}.gz").write_bytes(gzip.compress(plain, compresslevel=1))
        yield Path(packed)


@pytest.fixture
def no_route(monkeypatch, tmp_path):
    """Every route leads nowhere."""
    monkeypatch.delenv("D2L_DATA", raising=False)
    monkeypatch.setattr(fetch, "SYSTEM_COPY", tmp_path / "no-system-copy")
    monkeypatch.setattr(fetch, "GITHUB", NOWHERE)
    monkeypatch.setattr(FashionMNIST, "mirrors", [NOWHERE])
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))


def link(source, target):
    """Fill a new folder with the files of another one, without copying them if possible."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        try:
            os.link(path, target / path.name)
        except OSError:  # on another file system
            shutil.copy(path, target)


@pytest.fixture(scope="session")
def plain(content, tmp_path_factory):
    """A folder with the four decompressed files."""
    plain = tmp_path_factory.mktemp("plain")
    for name, file in content.items():
        (plain / name).write_bytes(file)
    return plain


@pytest.fixture
def make_folder(plain, tmp_path):
    """A function that makes a folder as torchvision has it, with all files but those left out."""

    def make(*left_out, place="cache"):
        link(plain, tmp_path / place / RAW)
        for name in left_out:
            (tmp_path / place / RAW / name).unlink()
        return tmp_path / place

    return make


@pytest.fixture
def shared():
    """A folder that any user may write to (pytest's own is private)."""
    with tempfile.TemporaryDirectory() as shared:
        os.chmod(shared, 0o777)
        yield Path(shared)
        os.chmod(shared, 0o777)


def python(script, **environment):
    """Run a script in a new process in which D2L_DATA and apt-get are the only routes."""
    head = f"""
        import os, sys, signal
        from pathlib import Path
        from torchvision.datasets import FashionMNIST
        from d2lutils import fetch
        from d2lutils.data import load_fashion_mnist
        fetch.GITHUB, FashionMNIST.mirrors = {NOWHERE!r}, []
        fetch.SYSTEM_COPY = Path("/not-here")
        def drop_root():
            import encodings.idna  # used by urllib; nobody may be unable to read Python's library
            if os.getuid() == 0:
                os.setgroups([]); os.setgid(65534); os.setuid(65534)
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(script)],
        cwd=REPOSITORY, env=os.environ | environment, capture_output=True, text=True,
    )  # fmt: skip


def files(folder):
    return {path.name: path.read_bytes() for path in (folder / RAW).iterdir()}


# ---------------------------------------------------------------- files that are not what they seem

DAMAGES = {
    "truncated": ("t10k-images-idx3-ubyte", lambda good: good[:-1]),
    "empty": (SMALL, lambda good: b""),
    "longer": (SMALL, lambda good: good + b"\0"),
    "one bit": (SMALL, lambda good: good[:-1] + bytes([good[-1] ^ 1])),
    "zeros": ("train-images-idx3-ubyte", lambda good: bytes(len(good))),
    "labels reversed": ("train-labels-idx1-ubyte", lambda good: good[:8] + good[:7:-1]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_bad_file_is_noticed_and_replaced(
    monkeypatch, no_route, make_folder, content, packed, damage
):
    name, spoil = DAMAGES[damage]
    folder = make_folder(name)
    (folder / RAW / name).write_bytes(spoil(content[name]))
    for call in (fetch_fashion_mnist, load_fashion_mnist):
        with pytest.raises(OSError, match=f"{name}: it has other bytes"):
            call(root=folder)
    monkeypatch.setenv("D2L_DATA", str(packed))
    good = {n: (folder / RAW / n).stat().st_mtime_ns for n in NAMES if n != name}
    assert fetch_fashion_mnist(folder) == folder
    assert files(folder) == content
    assert all((folder / RAW / n).stat().st_mtime_ns == time for n, time in good.items())


def test_file_that_changes_later_is_noticed(no_route, make_folder, content):
    folder = make_folder(SMALL)
    (folder / RAW / SMALL).write_bytes(content[SMALL])
    assert read_fashion_mnist(folder) == content
    (folder / RAW / SMALL).write_bytes(content[SMALL][::-1])
    with pytest.raises(OSError, match=f"{SMALL}: it has other bytes"):
        read_fashion_mnist(folder)


def test_bad_file_in_d2l_data_is_named(monkeypatch, no_route, make_folder, content):
    source, folder = make_folder(SMALL, place="source"), make_folder(SMALL)
    (source / RAW / SMALL).write_bytes(bytes(10_008))
    monkeypatch.setenv("D2L_DATA", str(source))
    with pytest.raises(OSError, match=f"D2L_DATA: .*{re.escape(str(source))}.*other"):
        fetch_fashion_mnist(folder)
    # good .gz files beside it are as welcome
    (source / f"{SMALL}.gz").write_bytes(gzip.compress(content[SMALL]))
    assert fetch_fashion_mnist(folder) == folder
    assert files(folder) == content


def test_damaged_gz_is_named(monkeypatch, no_route, make_folder, content, tmp_path):
    good = gzip.compress(content[SMALL])
    monkeypatch.setenv("D2L_DATA", str(tmp_path))
    folder = make_folder(SMALL)
    for bad, reason in [
        (good[:-9], "ended before"),
        (b"no gzip", "Not a gzipped file"),
        (good[:20] + b"\xff\xff" + good[22:], "invalid"),
        (good[:-8] + bytes(8), "CRC"),
    ]:
        (tmp_path / f"{SMALL}.gz").write_bytes(bad)
        with pytest.raises(OSError, match=rf"{SMALL}\.gz: .*{reason}"):
            fetch_fashion_mnist(folder)
        assert set(files(folder)) == set(NAMES) - {SMALL}


def test_directory_in_place_of_a_file(monkeypatch, no_route, make_folder, packed):
    folder = make_folder(SMALL)
    (folder / RAW / SMALL).mkdir()
    monkeypatch.setenv("D2L_DATA", str(packed))
    with pytest.raises(OSError, match=f"{SMALL} is a folder where a file belongs: remove it"):
        fetch_fashion_mnist(folder)
    source = make_folder(SMALL, place="source")
    (source / SMALL).mkdir()
    monkeypatch.setenv("D2L_DATA", str(source))
    with pytest.raises(OSError, match=rf"D2L_DATA: {SMALL}: .*source"):
        fetch_fashion_mnist(make_folder(SMALL, place="other"))


# ---------------------------------------------------------------- routes


def test_good_folder_is_not_touched(no_route, make_folder):
    def state():  # not the time of access, which reading may change
        return {p: (p.lstat().st_ino, p.lstat().st_mtime_ns) for p in [folder, *folder.rglob("*")]}

    folder = make_folder()
    before = state()
    assert fetch_fashion_mnist(folder) == folder
    assert state() == before


def test_default_folder(no_route, monkeypatch, make_folder, tmp_path):
    folder = make_folder(place="d2lutils")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert fetch_fashion_mnist() == folder
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / ".cache").mkdir()
    folder.rename(tmp_path / ".cache" / "d2lutils")
    assert fetch_fashion_mnist() == tmp_path / ".cache" / "d2lutils"


@pytest.mark.parametrize("part", [".", "FashionMNIST", "FashionMNIST/raw"])
def test_d2l_data_in_torchvisions_layout_is_used_in_place(no_route, monkeypatch, make_folder, part):
    source = make_folder(place="source")
    monkeypatch.setenv("D2L_DATA", str(source / part))
    assert fetch_fashion_mnist(source.parent / "new") == source
    assert not (source.parent / "new").exists()
    assert FashionMNIST(source, train=False).targets[0] == 9


@pytest.mark.parametrize("place", [".", "raw", "FashionMNIST/raw"])
def test_d2l_data_with_gz_files_fills_the_cache(
    no_route, monkeypatch, content, packed, tmp_path, place
):
    link(packed, tmp_path / "source" / place)
    monkeypatch.setenv("D2L_DATA", str(tmp_path / "source"))
    assert fetch_fashion_mnist(tmp_path / "cache") == tmp_path / "cache"
    assert files(tmp_path / "cache") == content


def test_d2l_data_in_another_layout_is_copied(no_route, monkeypatch, plain, content, tmp_path):
    link(plain, tmp_path / "flat")
    monkeypatch.setenv("D2L_DATA", str(tmp_path / "flat"))
    assert fetch_fashion_mnist(tmp_path / "cache") == tmp_path / "cache"
    assert files(tmp_path / "cache") == content


def test_system_copy(no_route, monkeypatch, content, packed, tmp_path):
    monkeypatch.setattr(fetch, "SYSTEM_COPY", packed)
    monkeypatch.setenv("D2L_DATA", str(tmp_path / "not there"))
    assert files(fetch_fashion_mnist(tmp_path / "cache")) == content


def test_no_route_lists_them_all(no_route, monkeypatch, tmp_path):
    monkeypatch.setenv("D2L_DATA", str(tmp_path / "not there"))
    with pytest.raises(OSError) as caught:
        load_fashion_mnist(root=tmp_path / "cache")
    message = str(caught.value)
    for route in ("D2L_DATA", str(tmp_path / "not there"), "system copy", NOWHERE, "apt-get"):
        assert route in message
    assert message.count(NOWHERE) == 2 and "refused" in message and "Run this again" in message
    assert str(tmp_path / "cache") in message


class Server(http.server.ThreadingHTTPServer):
    """Serve `files` on localhost; `cut` files end early."""

    daemon_threads = True
    files: dict = {}
    cut: frozenset = frozenset()
    asked: list = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.rpartition("/")[2]
        self.server.asked.append(name)
        if name not in self.server.files:
            return self.send_error(404)
        body = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if name in self.server.cut else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(no_route, monkeypatch):
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setattr(fetch, "GITHUB", f"http://127.0.0.1:{server.server_port}/data/")
        yield server
        server.shutdown()
        thread.join()


def test_download(server, packed, content, tmp_path, capfd):
    server.files = {path.name: path.read_bytes() for path in packed.iterdir()}
    assert files(fetch_fashion_mnist(tmp_path / "cache")) == content
    assert server.asked == [f"{name}.gz" for name in NAMES]
    assert capfd.readouterr() == ("", "")  # no terminal, no progress bar; never stderr


def test_download_cut_short_goes_on_when_run_again(server, packed, content, make_folder):
    first = "train-labels-idx1-ubyte"
    folder = make_folder(first, SMALL)
    server.files = {f"{n}.gz": (packed / f"{n}.gz").read_bytes() for n in (first, SMALL)}
    server.cut = {f"{SMALL}.gz"}
    with pytest.raises(OSError, match=f"{SMALL}: .*ended before"):
        fetch_fashion_mnist(folder)
    assert set(files(folder)) == set(NAMES) - {SMALL}
    server.cut, server.asked = set(), []
    assert files(fetch_fashion_mnist(folder)) == content
    assert server.asked == [f"{SMALL}.gz"]


def test_download_falls_through_to_the_mirror(server, packed, content, make_folder, monkeypatch):
    monkeypatch.setattr(FashionMNIST, "mirrors", [fetch.GITHUB])
    monkeypatch.setattr(fetch, "GITHUB", NOWHERE)
    server.files = {f"{SMALL}.gz": (packed / f"{SMALL}.gz").read_bytes()}
    assert files(fetch_fashion_mnist(make_folder(SMALL))) == content


@pytest.mark.parametrize(
    "body, reason",
    [
        (b"<html>no such page</html>", "Not a gzipped file"),
        (gzip.compress(bytes(10_008)), "other bytes"),
        (None, "404"),
    ],
    ids=["garbage", "wrong", "missing"],
)
def test_bad_download_is_refused(server, make_folder, body, reason):
    folder = make_folder(SMALL)
    server.files = {f"{SMALL}.gz": body} if body else {}
    with pytest.raises(OSError, match=f"{SMALL}.*{reason}"):
        fetch_fashion_mnist(folder)
    assert set(files(folder)) == set(NAMES) - {SMALL}


def test_bomb_does_not_fill_the_memory(no_route, monkeypatch, make_folder, tmp_path):
    with gzip.open(tmp_path / f"{SMALL}.gz", "wb", compresslevel=1) as bomb:
        for _ in range(400):
            bomb.write(bytes(1_000_000))
    monkeypatch.setenv("D2L_DATA", str(tmp_path))
    folder = make_folder(SMALL)
    tracemalloc.start()
    with pytest.raises(OSError, match=rf"{SMALL}\.gz: it has other bytes"):
        fetch_fashion_mnist(folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 250_000_000


@pytest.mark.skipif(
    not (shutil.which("apt-get") and shutil.which("dpkg-deb")), reason="needs apt-get and dpkg-deb"
)
def test_debian_package_without_root_and_without_lists(shared, content):
    (shared / "no lists" / "partial").mkdir(parents=True)
    config = shared / "apt.conf"
    config.write_text(f'Dir::State::Lists "{shared}/no lists";\n')
    script = """
        drop_root()
        print(fetch.fetch_fashion_mnist(os.environ["SHARED"] + "/a cache"))
    """
    done = python(script, SHARED=str(shared), D2L_DATA="", APT_CONFIG=str(config), LC_ALL="C")
    if "Could not resolve" in done.stderr or "Unable to locate" in done.stderr:
        pytest.skip(f"no Debian mirror within reach: {done.stderr[-300:]}")
    assert (done.stdout, done.stderr) == (f"{shared}/a cache\n", "")
    assert files(shared / "a cache") == content
    assert os.listdir(shared / "no lists") == ["partial"]  # apt's own lists were left alone


# ---------------------------------------------------------------- many processes, killed processes


@posix
def test_eight_processes_at_once(shared, packed, content):
    script = """
        children = []
        ready, go = os.pipe()
        for _ in range(8):
            pid = os.fork()
            if pid == 0:
                os.close(go)
                os.read(ready, 1)  # until the parent closes its end
                try:
                    fetch.fetch_fashion_mnist(os.environ["SHARED"])
                    os._exit(0)
                except BaseException as error:
                    print(error, file=sys.stderr, flush=True)
                    os._exit(1)
            children.append(pid)
        os.close(go)
        print([os.waitpid(pid, 0)[1] for pid in children])
    """
    done = python(script, SHARED=str(shared), D2L_DATA=str(packed))
    assert (done.stdout, done.stderr) == (f"{[0] * 8}\n", "")
    assert files(shared) == content


@posix
def test_killed_before_a_file_is_in_place_and_run_again(
    no_route, monkeypatch, shared, packed, content
):
    script = """
        os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
        fetch.fetch_fashion_mnist(os.environ["SHARED"])
    """
    done = python(script, SHARED=str(shared), D2L_DATA=str(packed))
    assert done.returncode == -signal.SIGKILL
    assert not set(files(shared)) & set(NAMES)  # a half-written one lies beside its place
    (left,) = (shared / RAW).iterdir()
    (shared / RAW / "of one that still writes.part").touch()
    os.utime(left, times=(0, 0))
    monkeypatch.setenv("D2L_DATA", str(packed))
    assert fetch_fashion_mnist(shared) == shared
    assert files(shared) == content | {"of one that still writes.part": b""}


# ---------------------------------------------------------------- caches that cannot be written


def test_file_that_another_process_has_put_there_and_holds_open(
    no_route, monkeypatch, make_folder, packed, content
):
    folder = make_folder(SMALL)

    def refuse(source, target):  # as Windows does
        target.write_bytes(content[SMALL])
        raise PermissionError(13, "in use")

    monkeypatch.setenv("D2L_DATA", str(packed))
    monkeypatch.setattr(os, "replace", refuse)
    assert fetch_fashion_mnist(folder) == folder
    assert files(folder) == content


@posix
def test_no_space(shared, packed):
    script = """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        try:
            fetch.fetch_fashion_mnist(os.environ["SHARED"])
        except OSError as error:
            print(error)
        train_iter, _, _ = load_fashion_mnist(root=os.environ["SHARED"], device="cpu")
        print(train_iter.images.shape)
    """
    done = python(script, SHARED=str(shared), D2L_DATA=str(packed))
    message, shape = done.stdout.splitlines()
    assert f"cannot be written to the cache folder {shared}: [Errno 27] File too large" in message
    assert "XDG_CACHE_HOME" in message and "D2L_DATA" in message and "root=" in message
    assert shape == "torch.Size([55000, 1, 28, 28])" and done.stderr == ""
    assert files(shared) == {}


@posix
def test_read_only_cache(shared, packed):
    os.chmod(shared, 0o555)
    script = """
        drop_root()
        try:
            fetch.fetch_fashion_mnist(os.environ["SHARED"] + "/cache")
        except OSError as error:
            print(error)
        _, _, test_iter = load_fashion_mnist(root=os.environ["SHARED"], device="cpu")
        print(test_iter.labels[0].item())
    """
    done = python(script, SHARED=str(shared), D2L_DATA=str(packed))
    message, label = done.stdout.splitlines()
    assert f"cannot be written to the cache folder {shared}/cache: [Errno 13]" in message
    assert label == "9" and done.stderr == ""


@posix
def test_a_user_without_a_home(packed, content, tmp_path):
    script = """
        import pwd
        def unknown(uid):
            raise KeyError(uid)
        pwd.getpwuid = unknown  # as in a container that runs with any number
        for name in ("HOME", "XDG_CACHE_HOME"):
            os.environ.pop(name, None)
        print(fetch.fetch_fashion_mnist())
        os.environ["D2L_DATA"] = os.environ["PACKED"]
        print(len(fetch.read_fashion_mnist()))
        sys.argv[1:] = [os.environ["FOLDER"]]
        fetch.main()
        del os.environ["D2L_DATA"]
        for root in (None, "~/cache"):
            try:
                fetch.fetch_fashion_mnist(root)
            except OSError as error:
                print(error)
    """
    folder = tmp_path / "folder"
    good = fetch_fashion_mnist()
    done = python(script, D2L_DATA=str(good), PACKED=str(packed), FOLDER=str(folder))
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        str(good),
        "4",
        f"Fashion-MNIST, verified: {folder / RAW}",
        *[
            "This user has no home folder to hold a cache of Fashion-MNIST: name a folder in"
            " XDG_CACHE_HOME or root=, or one with the files in D2L_DATA."
        ]
        * 2,
    ]
    assert files(folder) == content


def test_file_in_place_of_the_cache_folder(no_route, monkeypatch, tmp_path, packed):
    (tmp_path / "cache").write_text("not a folder")
    monkeypatch.setenv("D2L_DATA", str(packed))
    with pytest.raises(OSError, match="cannot be written to the cache folder"):
        fetch_fashion_mnist(tmp_path / "cache")
    train_iter, _, _ = load_fashion_mnist(root=tmp_path / "cache", device=torch.device("cpu"))
    assert train_iter.num_examples == 55_000


# ---------------------------------------------------------------- the command


def run_command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "d2lutils.fetch", *map(str, arguments)],
        cwd=REPOSITORY, env=os.environ | environment, capture_output=True, text=True,
    )  # fmt: skip


def test_command_says_where_the_data_lies_and_nothing_else(content):
    done = run_command()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Fashion-MNIST, verified: {fetch_fashion_mnist() / RAW}\n"


def test_command_fills_the_very_folder_it_is_given(content, tmp_path):
    """Also where D2L_DATA names a good folder that could be used in place."""
    done = run_command(tmp_path / "shared", D2L_DATA=str(fetch_fashion_mnist()))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Fashion-MNIST, verified: {tmp_path / 'shared' / RAW}\n"
    assert files(tmp_path / "shared") == content


def test_command_fails_in_a_sentence(content, tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    done = run_command(tmp_path / "cache", D2L_DATA=str(fetch_fashion_mnist()))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Fashion-MNIST cannot be written")


# ---------------------------------------------------------------- what hangs, or is in the way


@posix
@pytest.mark.parametrize("place", ["cache", "D2L_DATA"])
def test_a_pipe_in_place_of_a_file_does_not_hang(no_route, monkeypatch, make_folder, place):
    folder = make_folder(SMALL)
    pipe = folder / RAW / SMALL
    if place == "D2L_DATA":
        monkeypatch.setenv("D2L_DATA", str(folder.parent / "source"))
        (folder.parent / "source").mkdir()
        pipe = folder.parent / "source" / SMALL
    os.mkfifo(pipe)
    with pytest.raises(OSError, match=f"{SMALL}: it is no regular file"):
        fetch_fashion_mnist(folder)


class Drip(Handler):
    """A good start, and then a byte now and then, or empty members of gzip without end."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        try:
            if self.server.drips:
                self.wfile.write(b"\x1f\x8b\x08\x08" + bytes(6))  # a name follows, without end
            for _ in range(4000):
                self.wfile.write(b"a" if self.server.drips else gzip.compress(b"") * 1000)
                time.sleep(0.05 if self.server.drips else 0)
        except OSError:
            pass  # the other side has had enough


@pytest.mark.parametrize("drips, words", [(True, "comes too slowly"), (False, "does not end")])
def test_a_server_that_drips_or_never_ends_is_left(server, monkeypatch, make_folder, drips, words):
    monkeypatch.setattr(fetch, "PATIENCE", 0.5)
    monkeypatch.setattr(fetch, "LONGEST", 2_000_000)
    monkeypatch.setattr(server, "RequestHandlerClass", Drip)
    server.drips, start = drips, time.monotonic()
    with pytest.raises(OSError, match=f"{SMALL}: it {words}"):
        fetch_fashion_mnist(make_folder(SMALL))
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("around", ["{}\n", " {} ", '"{}"', "'{}'\r\n"])
def test_d2l_data_as_an_env_file_may_leave_it(no_route, monkeypatch, make_folder, around):
    source = make_folder(place="source")
    monkeypatch.setenv("D2L_DATA", around.format(source))
    assert fetch_fashion_mnist(source.parent / "new") == source


def test_a_relative_xdg_cache_home_is_ignored(no_route, monkeypatch, make_folder, tmp_path):
    folder = make_folder(place=".cache/d2lutils")
    for name, value in (("HOME", tmp_path), ("USERPROFILE", tmp_path), ("XDG_CACHE_HOME", "here")):
        monkeypatch.setenv(name, str(value))
    assert fetch_fashion_mnist() == folder


def test_no_locks_are_asked_of_the_file_system(packed, tmp_path):
    script = """
        import fcntl
        def refuse(*args):
            raise OSError(37, "No locks available")
        fcntl.flock = fcntl.lockf = refuse
        print(fetch.fetch_fashion_mnist(os.environ["CACHE"]))
    """
    done = python(script, CACHE=str(tmp_path / "cache"), D2L_DATA=str(packed))
    assert (done.stdout, done.stderr) == (f"{tmp_path / 'cache'}\n", "")


def test_command_is_content_with_a_copy_that_can_be_read_where_it_lies(packed, tmp_path):
    (tmp_path / "file").write_text("no folder")
    caches = {"XDG_CACHE_HOME": str(tmp_path / "file"), "MPLCONFIGDIR": str(tmp_path)}
    done = run_command(D2L_DATA=str(packed), **caches)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Fashion-MNIST, verified: read where it lies, since it cannot be")


def test_command_refuses_an_empty_name():
    done = run_command("")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "FOLDER='' names no folder: give the path of one\n"


@posix
def test_command_interrupted_says_so_in_a_sentence(tmp_path):
    script = """
        fetch._fill = lambda named: os.kill(os.getpid(), signal.SIGINT)
        sys.argv[1:] = ["folder"]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        fetch.main()
    """
    done = python(script)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Interrupted: files that had come whole are kept.")
