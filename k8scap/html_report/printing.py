"""The page on paper: printed to PDF by a Chromium, the engine that it is made for."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from k8scap.errors import ToolMissingError
from k8scap.runner import LocalRunner, Runner

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
INSTALLED = {
    "darwin": (
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    ),
    "win32": (
        r"C:\Program Files\Google\Chrome\Application\chrome.exe",
        r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
    ),
}
"""Where macOS and Windows put them, off the PATH (untested there)."""

SECONDS = 120.0
_OPTIONS = (
    *("--headless", "--disable-gpu", "--no-first-run", "--no-default-browser-check", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-extensions"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--no-pdf-header-footer"),
)
"""A browser that greets nobody, asks no network, and prints no path of this machine on the page."""


def find_browser(*, runner: Runner | None = None) -> str:
    """A Chromium's path: K8SCAP_BROWSER, else one on the PATH, else where it is usually installed.

    Raises ToolMissingError.
    """
    which = (runner or LocalRunner()).which
    named = os.environ.get("K8SCAP_BROWSER", "")
    found = which(named) if named else next(filter(None, map(which, BROWSERS)), None)
    if found is None and not named:
        found = next((path for path in INSTALLED.get(sys.platform, ()) if Path(path).exists()), None)
    if found is None:
        raise ToolMissingError(
            named or "chromium",
            message=f"PDF is printed by a Chromium, and {named or 'none'} is not here."
            if named
            else "PDF is printed by a Chromium, and none is here.",
            next_step="apt-get install chromium, or K8SCAP_BROWSER=/path/to/chrome, or --format html",
        )
    return found


def printed(html: str, *, browser: str, folder: Path, runner: Runner | None = None) -> bytes:
    """The page as PDF, as `browser` prints it; what it needs meanwhile lies in a private folder in `folder`.

    Raises ToolMissingError where the browser does not do it.
    """
    with TemporaryDirectory(dir=folder, prefix=".k8scap-printing-", ignore_cleanup_errors=True) as private:
        page, paper = Path(private, "report.html"), Path(private, "report.pdf")
        page.write_text(html, encoding="utf-8")
        said = _print(browser, page, paper, runner or LocalRunner())
        if not paper.exists():
            raise ToolMissingError(
                Path(browser).name,
                message=f"{browser} printed nothing: {said or 'it does not say why'}.",
                next_step="--format html, and print it from a browser",
            )
        return paper.read_bytes()


def _print(browser: str, page: Path, paper: Path, runner: Runner) -> str:
    """Run it; what it said last."""
    # root's Chromium has no sandbox; the page has no script, and its policy allows none
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    profile = f"--user-data-dir={page.parent / 'profile'}"
    argv = [browser, *_OPTIONS, *root, profile, f"--print-to-pdf={paper}", page.resolve().as_uri()]
    try:
        done = runner.run(argv, timeout=SECONDS)
    except TimeoutError as error:
        return str(error)
    return done.error_text.splitlines()[-1] if done.error_text else ""
