"""A real JupyterLab, and a notebook in it as somebody in front of a browser has it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import nbformat
from playwright.sync_api import TimeoutError as PlaywrightTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 60
_CELL_SECONDS = 60
_CLICK_MS = 5_000
_PROMPTS = ".jp-CodeCell .jp-InputPrompt"
"""A markdown cell's stays empty, run or not."""


class JupyterLab:
    """A JupyterLab on loopback, its files in a folder of its own; ended with all its kernels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._token = secrets.token_hex(8)
        self._port = _free_port()
        self._settle()
        self._log = (folder / ".jupyterlab.log").open("wb")
        self._process = subprocess.Popen(self._argv(), stdout=self._log, stderr=self._log, env=self._env())
        self._wait_until_it_answers()

    def url(self, notebook: str) -> str:
        """Of a notebook alone in its window, as JupyterLab's simple interface shows it."""
        return f"http://127.0.0.1:{self._port}/doc/tree/{notebook}?token={self._token}"

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _argv(self) -> list[str]:
        return [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
            *(
                f"--port={self._port}",
                "--ServerApp.port_retries=0",
                f"--IdentityProvider.token={self._token}",
            ),
            *(
                f"--ServerApp.root_dir={self.folder}",
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            ),
            "--ServerApp.terminals_enabled=False",
        ]

    def _settle(self) -> None:
        """No question about news over the notebook, and every cell in the page, seen or not."""
        settings = {
            "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
            "notebook-extension/tracker": {"windowingMode": "none"},
        }
        for name, values in settings.items():
            file = self.folder / ".jupyter/settings/@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))

    def _env(self) -> dict[str, str]:
        own = self.folder / ".jupyter"
        paths = {
            name: str(own / name)
            for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
        }
        paths |= {
            "JUPYTERLAB_SETTINGS_DIR": str(own / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces"),
        }
        return {**os.environ, **paths, "PYTHONPATH": str(ROOT), "MPLBACKEND": ""}

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        address = f"http://127.0.0.1:{self._port}/api/status?token={self._token}"
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(address, timeout=2):
                    return
            except OSError:
                time.sleep(0.1)
        said = (self.folder / ".jupyterlab.log").read_text(errors="replace")
        raise RuntimeError(f"JupyterLab did not start:\n{said[-2000:]}")


class Notebook:
    """A notebook that is open in a browser: run cells, read what they show."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    def open(cls, page: Page, lab: JupyterLab, *sources: str, name: str = "") -> Self:
        """Write a notebook of these code cells, open it, and wait for its kernel."""
        name = name or f"{secrets.token_hex(4)}.ipynb"
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
        (lab.folder / name).write_text(nbformat.writes(notebook))
        return cls.open_file(page, lab, name)

    @classmethod
    def open_file(cls, page: Page, lab: JupyterLab, name: str) -> Self:
        """Open a notebook that lies in JupyterLab's folder."""
        page.goto(lab.url(name))
        page.locator(".jp-Notebook").wait_for(timeout=_START_SECONDS * 1000)
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(
            state="attached", timeout=_START_SECONDS * 1000
        )
        return cls(page)

    def cell(self, number: int) -> Locator:
        """The cell of this place, counted from 0."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def output(self, number: int) -> Locator:
        return self.cell(number).locator(".jp-Cell-outputArea")

    def run_all(self, *, wait: bool = True) -> None:
        self._insist(self.page.locator(_PROMPTS).first, self._choose_run_all)
        if wait:
            self.wait()

    def _choose_run_all(self) -> None:
        self.cell(0).locator(".cm-content:visible, .jp-RenderedMarkdown:visible").first.click()
        self.page.locator(".lm-MenuBar-item", has_text="Run").click()
        self.page.locator(".lm-Menu-item", has_text="Run All Cells").first.click()

    def run(self, number: int, source: str | None = None, *, wait: bool = True) -> None:
        """Run one cell, with another text where one is given."""

        def press() -> None:
            self.cell(number).locator(".cm-content").click(timeout=_CLICK_MS)
            if source is not None:
                self.page.keyboard.press("Control+a")
                self.page.keyboard.insert_text(source)
            self.page.keyboard.press("Control+Enter")

        self._insist(self.cell(number).locator(".jp-InputPrompt"), press)
        if wait:
            self.wait(number)

    def _insist(self, prompt: Locator, action: Callable[[], None]) -> None:
        """Until the prompt shows that it was heard: JupyterLab is deaf for a while after a page's loading."""
        before = prompt.inner_text()
        for _ in range(8):
            self._accept_dialogs()
            try:
                action()
            except PlaywrightTimeout:
                continue  # a dialog came over it
            if self._changes(prompt, before):
                return

    def _accept_dialogs(self) -> None:
        """What JupyterLab asks meanwhile: which kernel, or whether to read a file again that changed."""
        accept = self.page.locator(".jp-Dialog .jp-mod-accept")
        while accept.count():
            accept.first.click(timeout=_CLICK_MS)

    def _changes(self, prompt: Locator, before: str, *, seconds: float = 3) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if prompt.inner_text() != before:
                return True
            self.page.wait_for_timeout(20)
        return False

    def wait(self, number: int | None = None, *, seconds: float = _CELL_SECONDS) -> None:
        """Until the cell, or every cell, has run; a cell that runs or waits shows a star."""
        prompts = (
            self.page.locator(_PROMPTS) if number is None else self.cell(number).locator(".jp-InputPrompt")
        )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            shown = prompts.all_inner_texts()
            if all(any(char.isdigit() for char in text) for text in shown):
                return
            self.page.wait_for_timeout(50)
        raise TimeoutError(f"Cells still run after {seconds} s: {shown}")

    def answer(self, number: int) -> Any:
        """What the cell's print(json.dumps(…)) says."""
        return json.loads(self.output(number).inner_text())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
