"""Debian's Chromium, driven by Playwright, in front of a real JupyterLab."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jupyter import JupyterLab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

SIZE = {"width": 1400, "height": 1000}


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterLab]:
    """One JupyterLab for the run; each test has notebooks, and so kernels, of its own."""
    running = JupyterLab(tmp_path_factory.mktemp("jupyterlab"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        pytest.fail("There is no chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        options = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        options += ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A window of its own, from which nothing outside this machine can be asked."""
    context = chromium.new_context(viewport=SIZE)
    yield context.new_page()
    context.close()


@pytest.fixture
def keep() -> Callable[[Page, str], None]:
    """Keep a screenshot in screenshots/ (or K8SCAP_SCREENSHOTS), for people to look at."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("K8SCAP_SCREENSHOTS") or root / "screenshots")

    def keep(page: Page, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png")

    return keep
