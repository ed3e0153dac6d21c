"""A JupyterLab of its own for the tests that need a real notebook."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat


@contextlib.contextmanager
def jupyter_lab(root, *sources):
    """Serve a notebook with these cells from the folder `root`, and yield its address."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source.strip()) for source in sources],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, root / "page.ipynb")
    config = root / "config"
    (config / "labconfig").mkdir(parents=True)
    news = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (config / "labconfig" / "page_config.json").write_text(json.dumps(news))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "OMP_NUM_THREADS": 1,  # tiny batches on two threads crawl where others compute too
        "JUPYTER_CONFIG_DIR": config,
        "JUPYTER_RUNTIME_DIR": root / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": root / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": root / "workspaces",
    }
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=",
        f"--ServerApp.root_dir={root}",
    ]  # fmt: skip
    environment = {**os.environ, **{name: str(value) for name, value in settings.items()}}
    with open(root / "lab.log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(600):
            assert server.poll() is None, (root / "lab.log").read_text()
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=2).read()
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/lab/tree/page.ipynb"
    finally:
        server.terminate()  # stops its kernels as well
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
