"""Fixtures: a browser for all tests of the page, a server for each."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.browser import Browser, Page
from support.pad_server import PadServer


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Run Chromium, for all tests of this folder that ask for it."""
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def server() -> Iterator[PadServer]:
    """Serve the page, as the tests of a page need it."""
    server = PadServer()
    yield server
    server.stop()


@pytest.fixture
def pad(browser: Browser, server: PadServer) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a pad which has been welcomed; options as `Page.resize`."""
    pages = []

    def open_pad(**size: Any) -> Page:
        page = browser.open(server.url, **size)
        pages.append(page)
        page.wait_for("document.body.dataset.link === 'open'")
        # The parts of the page, for tests to look at.
        page.evaluate("import('/pad/pad.js').then((parts) => { window.pad = parts })")
        return page

    yield open_pad
    for page in pages:
        page.close()
