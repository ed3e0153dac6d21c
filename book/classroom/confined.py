"""Run what is handed in inside bubblewrap (`bwrap`), and refuse to where there is none.

A submission runs with the rights of whoever grades. Its kernel therefore sees Python, the system's
libraries, d2lutils, the exercises, the data and its own sheet, all of it read-only, and an empty
/tmp: no other submission, gradebook, home or environment of the teacher, no network and no other
process. One file, the output and the time have limits.

That does not limit memory, processors and disk space, and within its own kernel a submission can
still read the right answers that the exercises hold, and change what grades it: read one that
surprises you.
"""

import functools
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import weakref
from importlib.util import find_spec
from pathlib import Path

from jupyter_client.manager import AsyncKernelManager
from nbgrader import preprocessors

SECONDS = 1800  # for a whole notebook, in whatever it hangs
FILE_BYTES = 100 * 2**20  # for one file that it writes
# For all that it prints, all that it displays (figures, widgets), and each part of an error;
# nbgrader would hold any amount in memory.
OUTPUT_CHARS, DISPLAY_CHARS, ERROR_CHARS = 200_000, 5_000_000, 4_000
NO_MORE = "… (no more is shown)"
SYSTEM = (
    *("/usr", "/bin", "/lib", "/lib64", "/sys/devices/system/cpu"),
    *("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/etc/localtime"),
)
# The sheet's folder comes last on the path, so that no file handed in takes a library's place; and
# quit(), which ends a session at a keyboard, does not end the rest of the sheet.
KERNEL = (
    "import sys; sys.path = [*filter(None, sys.path), '']; "
    "from ipykernel.kernelapp import launch_new_instance; "
    "from ipykernel.zmqshell import ZMQInteractiveShell as shell; "
    "shell.ask_exit = lambda self: None; launch_new_instance()"
)
UNCONFINED = "D2L_GRADE_UNCONFINED"
TRUST = f"if you trust every submission, set {UNCONFINED}=yes"


def confinement(folder: str) -> list[str]:
    """Return the command that runs another one confined to the folder it starts in.

    Parameters
    ----------
    folder : str
        The one place outside its /tmp where it may write; the sockets of a kernel lie there.
    """
    from d2lutils import fetch_fashion_mnist

    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/tmp",
        "USER": "learner",
        "PYTHONPATH": "/course",
        "D2L_DATA": "/data",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", ""),
    }
    readable = {path: path for path in (*SYSTEM, sys.base_prefix, sys.prefix)}
    for package in ("d2lutils", "d2lexercises"):
        readable[find_spec(package).submodule_search_locations[0]] = f"/course/{package}"
    readable[str(fetch_fashion_mnist())] = "/data"
    readable["."] = "/sheet"
    for path in fonts():
        readable[path] = f"/tmp/matplotlib/{Path(path).name}"
    return [
        # What starts bubblewrap has no more in its environment than what runs inside.
        *("env", "-i", *(f"{name}={value}" for name, value in environment.items() if value)),
        # It ends with whoever started it, also if that is killed.
        *("setpriv", "--pdeathsig", "KILL", "timeout", "--signal=KILL", str(SECONDS)),
        *("prlimit", f"--fsize={FILE_BYTES}"),
        *(
            shutil.which("bwrap"),
            "--unshare-all",
            "--die-with-parent",
            "--new-session",
            "--cap-drop",
            "ALL",
        ),
        *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),
        *(word for pair in readable.items() for word in ("--ro-bind-try", *pair)),
        *("--bind", folder, folder, "--remount-ro", "/", "--chdir", "/sheet", "--"),
    ]


@functools.cache
def fonts() -> list[str]:
    """Return the files in which matplotlib lists the fonts: making one can take long."""
    from matplotlib import font_manager, get_cachedir

    font_manager.fontManager  # noqa: B018  (made by now)
    return glob.glob(os.path.join(get_cachedir(), "fontlist*.json"))


def trusted() -> bool:
    """Say whether the teacher wants submissions to run with all of their own rights."""
    return os.environ.get(UNCONFINED) == "yes"


@functools.cache
def refusal() -> str | None:
    """Say in a sentence why submissions cannot be confined here, or return None if they can."""
    if not shutil.which("bwrap"):
        return (
            "Submissions run in bubblewrap, and this machine has none: install it (Debian, Ubuntu: "
            f"apt install bubblewrap; other systems than Linux have none), or, {TRUST}."
        )
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        done = subprocess.run([*confinement(folder), "true"], capture_output=True, encoding="utf-8")
    if done.returncode:
        return (
            "bubblewrap cannot make its namespaces here, as in many containers "
            f"({done.stderr.strip()}): grade on a machine that lets it, or, {TRUST}."
        )
    return None


class ConfinedKernelManager(AsyncKernelManager):
    """Starts a Python kernel in bubblewrap, and talks to it through files, having no network."""

    def __init__(self, **settings):
        # A submission may open its folder to everybody, and leave a setuid program there: the one
        # around it, which it does not see, stays closed. The name of a socket may have 107
        # characters: nothing deeper than this.
        closed = tempfile.mkdtemp(prefix="d2l-", dir="/tmp")
        self._folder = f"{closed}/k"
        os.mkdir(self._folder)
        super().__init__(transport="ipc", connection_file=f"{self._folder}/kernel.json", **settings)
        # Not TemporaryDirectory, which in older Pythons changes what links lead to.
        weakref.finalize(self, shutil.rmtree, closed, ignore_errors=True)

    async def start_kernel(self, **settings):
        """Start the kernel; what it writes past the cells' output goes nowhere."""
        nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        await super().start_kernel(**settings, **nowhere)

    def format_kernel_cmd(self, extra_arguments=None):
        """Return the command that starts the kernel."""
        if why := refusal():
            raise RuntimeError(why)
        self.kernel_spec.interrupt_mode = "message"  # a signal would reach bubblewrap
        python = [sys.executable, "-c", KERNEL, "-f", self.connection_file]
        quiet = "--log-level=CRITICAL"  # else it prints how to connect to it
        return [*confinement(self._folder), *python, quiet, *(extra_arguments or ())]


class Execute(preprocessors.Execute):
    """nbgrader's own, in a confined kernel, keeping a limited amount of what it puts out."""

    def __init__(self, *args, **settings):
        if not trusted():
            settings["kernel_manager_class"] = ConfinedKernelManager
        super().__init__(*args, **settings)

    def preprocess(self, *args, **more):
        """Execute a notebook."""
        self.room = {"print": OUTPUT_CHARS, "display": DISPLAY_CHARS}
        return super().preprocess(*args, **more)

    def process_message(self, message, cell, cell_index):
        """Keep what there is room for, and of each cell an error: it decides about points."""
        kind, content = message["msg_type"], message["content"]
        if kind == "error":
            cut_error(content)
            size = len(str(content))
            kept = self._take("print", size) > 0
            kept = kept or all(out.output_type != "error" for out in cell.outputs)
        elif kind == "stream":
            size = len(content["text"])
            room = self._take("print", size)
            kept = room > 0
            if room < size:
                content["text"] = f"{content['text'][: max(room, 0)]}\n{NO_MORE}\n"
        elif "display" in kind or kind == "execute_result" or kind.startswith("comm"):
            size = len(str(content)) + sum(map(len, message.get("buffers", ())))
            room = self._take("display", size)
            kept = room >= size
            if not kept and room > 0 and not kind.startswith("comm"):
                content["data"], content["metadata"] = {"text/plain": NO_MORE}, {}
                kept = True
        else:
            kept = True
        return super().process_message(message, cell, cell_index) if kept else None

    def _take(self, what, size):
        """Return what room there is, and have less of it from now on."""
        room = self.room[what]
        self.room[what] -= size
        return room

    def on_cell_executed(self, *, execute_reply, **more):
        """Note an error that has put out nothing."""
        cut_error(execute_reply["content"])
        super().on_cell_executed(execute_reply=execute_reply, **more)


def cut_error(content):
    """Cut the parts of an error to what a reader can use."""
    for part in ("ename", "evalue"):
        content[part] = cut(content.get(part, ""))
    content["traceback"] = [cut(frame) for frame in content.get("traceback", [])[-50:]]


def cut(text):
    """Return the beginning of a long text."""
    return text if len(text) <= ERROR_CHARS else f"{text[:ERROR_CHARS]} …"
