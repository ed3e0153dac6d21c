"""What several test files share: which tests run, the machine's Chromium, and a summary."""

import os
import shutil

import pytest

FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update"
    " --disable-sync --no-first-run"
).split()


def pytest_collection_modifyitems(items):
    """Leave out what is marked `everything`, unless the environment asks for it."""
    if os.environ.get("EVERYTHING") != "1":
        skip = pytest.mark.skip(reason="runs with EVERYTHING=1, as in `make test-all`")
        for item in items:
            if item.get_closest_marker("everything"):
                item.add_marker(skip)


def unavailable(reason):
    """Skip, but not where everything is to be tested."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@pytest.fixture(scope="module")
def chromium():
    """The machine's own browser, driven by Playwright."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if not path:
        unavailable("there is no Chromium on this machine")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        unavailable("playwright is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def pytest_terminal_summary(terminalreporter):
    """Print what a test records under "summary", also with several processes."""
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "summary":
                terminalreporter.write_line(text)
