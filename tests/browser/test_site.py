"""The site of the documents, built and opened: it asks nobody anything, and can be read on a phone."""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
LOADS = re.compile(
    r"""<(?:script|img|iframe|source)[^>]+src="(https?:)?//|<link[^>]+href="(https?:)?//|url\(["']?https?:"""
)
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as scripts/test builds it: warnings are errors."""
    folder = tmp_path_factory.mktemp("site")
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.suffix in {".html", ".css"}]
    assert len(files) > 15
    assert [path.name for path in files if LOADS.search(path.read_text(encoding="utf-8"))] == []


def test_a_reader_finds_a_symptom_by_its_words(
    address: str, page: Page, keep: Callable[[Page, str], None]
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/index.html")
    keep(page, "site-home")
    page.get_by_role("link", name="by symptom").first.click()
    page.get_by_placeholder("Search").click()
    page.get_by_placeholder("Search").press_sequentially("cannot resolve")
    page.locator(".md-search-result__link", has_text="Pods cannot resolve names").first.click()
    page.wait_for_url("**/symptoms.html*pods-cannot-resolve-names*")
    page.locator("article span", has_text="left 3 of 5 lookups unanswered").wait_for()
    keep(page, "site-symptom")
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "name", ["index", "symptoms", "architecture", "findings", "schema", "repository/CONTRIBUTING"]
)
def test_no_page_is_wider_than_a_phone(
    address: str, chromium: Browser, keep: Callable[[Page, str], None], name: str, scheme: str
) -> None:
    context = chromium.new_context(viewport=PHONE, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{address}/{name}.html")
    page.wait_for_load_state("networkidle")
    keep(page, f"site-phone-{Path(name).name}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", back)[:3])) < 380) == (scheme == "dark")
    context.close()
