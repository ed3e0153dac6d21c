"""Which build of torch the first `make` takes."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import install


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A Linux machine without an NVIDIA GPU, whose user has decided nothing."""
    for name in install.DECIDED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
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
