"""tshark's command, as a `pyshark.FileCapture` decides it, run by us: no event loop anywhere.

pyshark finds tshark and turns display filter, preferences and decode-as into arguments. Running it
through pyshark needs asyncio, which fails inside Jupyter's loop, in threads and on newer Pythons; an
ordinary subprocess does not.
"""

from __future__ import annotations

import tempfile
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k8scap.errors import ToolMissingError, UnreadableFileError
from k8scap.runner import LocalRunner
from k8scap.schema import REFERENCE_PREFERENCES

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from k8scap.runner import Process, Runner

BLOCK = 1 << 20
_STDERR_KEPT = 64 * 1024
_STDERR_WAIT = 5.0
_HARMLESS = ("Running as user",)


@dataclass
class Run:
    """How a run of tshark went: what it complained of, and whether the file or tshark broke off."""

    complaints: list[str] = field(default_factory=list)
    returncode: int = 0

    @property
    def cut_off(self) -> bool:
        return self.complains_of("cut short")

    @property
    def crashed(self) -> bool:
        return self.returncode < 0

    @property
    def sentence(self) -> str:
        """What went wrong, in tshark's words."""
        if self.crashed:
            return f"tshark crashed (signal {-self.returncode})."
        return " ".join(self.complaints) or "there is nothing in it that tshark can read."

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of the run; that a file is cut off is told elsewhere."""
        if self.crashed:
            return (f"tshark crashed (signal {-self.returncode}); the frames up to there are kept.",)
        return (self.sentence,) if self.returncode and not self.cut_off else ()

    def complains_of(self, words: str) -> bool:
        return any(words in line for line in self.complaints)


def command(
    path: Path,
    output: Sequence[str],
    *,
    where: str = "",
    preferences: Mapping[str, str] | None = None,
    decode_as: Mapping[str, str] | None = None,
) -> list[str]:
    """The argv that reads `path`: pyshark's decisions, then `output` (`-T fields -e …`, `-T pdml` …).

    Raises ToolMissingError where there is no tshark, and UnreadableFileError where the file is gone.
    """
    import pyshark
    from packaging import version

    class Reading(pyshark.FileCapture):  # type: ignore[misc]
        def _get_tshark_version(self) -> Any:
            """Only tells -Y from the -R of before 2013; asking would cost a run of tshark each time."""
            return version.parse(_REFERENCE_VERSION)

    try:
        capture = Reading(
            str(path.absolute()),
            display_filter=where or None,
            override_prefs={**REFERENCE_PREFERENCES, **(preferences or {})},
            decode_as=dict(decode_as or {}),
            eventloop=_NO_EVENT_LOOP,
        )
    except FileNotFoundError:
        raise UnreadableFileError(
            f"{path} is no longer there.", path=str(path), next_step=f"ls {path.parent}"
        ) from None
    return [_find_tshark(), "-n", *output, *capture.get_parameters()]


def _find_tshark() -> str:
    """On PATH, or where pyshark's configuration says.

    pyshark reads a config.ini of the current folder first: any project's, or anybody's.
    """
    import configparser

    from pyshark.tshark.tshark import TSharkNotFoundException, get_process_path

    if on_path := LocalRunner().which("tshark"):
        return on_path
    try:
        return str(get_process_path())
    except (TSharkNotFoundException, configparser.Error):
        raise ToolMissingError("tshark", next_step="apt-get install tshark") from None


_REFERENCE_VERSION = "4.0"
_NO_EVENT_LOOP = object()
"""pyshark makes itself an event loop where it is given none; ours is never used."""


def blocks(argv: Sequence[str], *, run: Run, runner: Runner | None = None) -> Generator[bytes, None, None]:
    """Tshark's output as it comes, in blocks; `run` is filled in at the end.

    The process is ended where the reader stops early.
    """
    with _configuration() as environment:
        process = (runner or LocalRunner()).start(argv, env=environment)
        ended = False
        try:
            errors = _Drain(process)
            while block := process.stdout.read(BLOCK):
                yield block
            ended = True
        finally:
            if not ended:
                process.kill()
            run.returncode = process.wait()
            run.complaints = errors.lines()
            process.stdout.close()
            process.stderr.close()


def lines(argv: Sequence[str], *, run: Run, runner: Runner | None = None) -> Generator[bytes, None, None]:
    """Whole lines of the output in blocks, each ending in a newline; an unfinished last one is left out."""
    rest = b""
    with closing(blocks(argv, run=run, runner=runner)) as output:
        for block in output:
            whole, newline, begun = block.rpartition(b"\n")
            if newline:
                yield rest + whole + newline
                rest = begun
            else:
                rest += block


@contextmanager
def _configuration() -> Iterator[dict[str, str]]:
    """The reference's surroundings: nobody's profile, UTC, a full stop in numbers."""
    with tempfile.TemporaryDirectory(prefix="k8scap-") as folder:
        yield {"WIRESHARK_CONFIG_DIR": folder, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


class _Drain:
    """Reads a process's stderr in a thread, so that a full pipe never stops it."""

    def __init__(self, process: Process) -> None:
        self._stream = process.stderr
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._read, name="tshark-stderr", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while block := self._stream.read(4096):
            if len(self._kept) < _STDERR_KEPT:
                self._kept += block

    def lines(self) -> list[str]:
        self._thread.join(timeout=_STDERR_WAIT)
        text = self._kept.decode("utf-8", "replace")
        stripped = (line.removeprefix("tshark: ").strip() for line in text.splitlines())
        return [line for line in stripped if line and not line.startswith(_HARMLESS)]
