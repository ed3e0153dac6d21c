"""A Jupyter kernel for handed-in notebooks: `python confined_kernel.py -f CONNECTION_FILE`.

A submission runs with the rights of whoever grades. So before its first line runs, this process
gives up, for good, what a sheet does not need: the files outside Python and the sheet's own folder
(other submissions, the gradebook, the solved pages), the environment (tokens), connections, signals
to other processes, endless output and endless time. Linux holds files from 5.13, connections from
6.7, signals from 6.12 on (Landlock); no rights and no packages are needed for it.

Within its kernel a submission can still change what grades it: read one that surprises you.
"""

import ctypes
import os
import resource
import shutil
import signal
import site
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from ipykernel.iostream import OutStream
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp

HERE = Path(__file__).resolve().parent
SECONDS = 1800  # for a whole notebook, in whatever it hangs
FILE_BYTES = 100 * 2**20  # for one file that it writes
OUTPUT_CHARS = 200_000  # for all that it prints
# Python, and what it needs of the system; the sheet's folder, d2lutils and the data come on top.
READABLE = [
    *("/usr", "/lib", "/lib64", "/bin", "/etc", "/sys", "/dev/random", "/dev/urandom"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys"),
    *(sys.prefix, sys.base_prefix, site.getusersitepackages(), HERE),
]
WRITABLE = ["/dev/null", "/dev/shm"]
KEPT_IN_ENVIRONMENT = {
    *("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "OMP_NUM_THREADS"),
    *("XDG_CACHE_HOME", "JPY_PARENT_PID"),  # where the data lie; who takes the kernel down
}

# The names and numbers of linux/landlock.h.
READ = EXECUTE, READ_FILE, READ_DIR = 1 << 0, 1 << 2, 1 << 3
CONNECT_TCP = 1 << 1
ABSTRACT_SOCKETS, SIGNALS = 1 << 0, 1 << 1
ACCESS_OF_ABI = {1: 1 << 13, 2: 1 << 14}  # each later one knows (1 << 15) - 1, at least
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # system calls, the same on every machine
PATH_BENEATH, NO_NEW_PRIVS = 1, 38


class _Ruleset(ctypes.Structure):
    _fields_ = [
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def confine(readable: list, writable: list) -> None:
    """Keep this process and its children from all other files, connections and signals, for good.

    Parameters
    ----------
    readable, writable : list of paths
        Files or folders, these with all below them; what does not exist is skipped.

    Raises
    ------
    OSError
        If the operating system cannot do it.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def call(function, *args):
        result = function(*args)
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result

    abi = call(libc.syscall, CREATE_RULESET, None, 0, 1)
    every = ACCESS_OF_ABI.get(abi, 1 << 15) - 1
    attributes = _Ruleset(every, CONNECT_TCP, ABSTRACT_SOCKETS | SIGNALS)
    size = ctypes.c_size_t(24 if abi >= 6 else 16 if abi >= 4 else 8)
    rules = call(libc.syscall, CREATE_RULESET, ctypes.byref(attributes), size, 0)
    granted = [(path, sum(READ)) for path in readable] + [(path, every) for path in writable]
    for path, access in granted:
        if not os.path.exists(path):
            continue
        if not os.path.isdir(path):
            access &= EXECUTE | READ_FILE | 1 << 1 | 1 << 14  # execute, read, write, truncate
        beneath = _PathBeneath(access, os.open(path, os.O_PATH))
        call(libc.syscall, ADD_RULE, rules, PATH_BENEATH, ctypes.byref(beneath), 0)
        os.close(beneath.parent_fd)
    call(libc.prctl, NO_NEW_PRIVS, 1, 0, 0, 0)
    call(libc.syscall, RESTRICT_SELF, rules, 0)
    os.close(rules)


class Limited(OutStream):
    """Standard output and errors up to a limit: nbgrader would hold all of it in memory."""

    left = OUTPUT_CHARS  # shared by both streams

    def write(self, string):
        """Write the text, or what of it the limit leaves."""
        if Limited.left > 0:
            cut = len(string) > Limited.left
            super().write(string[: Limited.left] + "\n… (no more is shown)\n" if cut else string)
            Limited.left -= len(string)
        return len(string)


class Kernel(IPythonKernel):
    """A kernel that looks for no children when it ends: it cannot list processes in here."""

    def _process_children(self):
        return []


def main() -> None:
    """Confine this process, then run a kernel in it."""
    connection_file = sys.argv[sys.argv.index("-f") + 1]
    scratch = tempfile.mkdtemp(prefix="d2l-grading-")
    data = Path(os.environ["XDG_CACHE_HOME"], "d2lutils")
    os.environ.update(
        HOME=scratch,  # what libraries write goes there
        TMPDIR=scratch,
        MPLCONFIGDIR=str(HERE / "matplotlib"),  # its list of fonts takes seconds to make
        CUDA_VISIBLE_DEVICES="",  # sheets need no GPU, and its memory cannot be limited
    )
    tempfile.tempdir = None
    try:
        course = find_spec("d2lutils").submodule_search_locations
        confine(
            [*READABLE, *course, data, connection_file, Path.cwd()],
            [*WRITABLE, scratch],
        )
    except (OSError, AttributeError) as error:
        sys.exit(
            f"This machine cannot confine submissions ({error}); Linux can, from 5.13 on. Grade on "
            "such a machine; or, if you trust every submission, take the line with kernel_name out "
            "of nbgrader_config.py."
        )
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    signal.alarm(SECONDS)  # ends the process; nbgrader goes on to the next submission
    try:
        app = IPKernelApp.instance(kernel_class=Kernel, outstream_class="confined_kernel.Limited")
        app.initialize()
        app.start()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    if "D2L_CLEAN" not in os.environ:
        kept = {name: os.environ[name] for name in KEPT_IN_ENVIRONMENT & set(os.environ)}
        os.execve(sys.executable, [sys.executable, *sys.argv], {**kept, "D2L_CLEAN": "yes"})
    main()
