"""The command that opens a capture in Wireshark, and makes pods stand in its list of interfaces."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.cli.command import add_command
from k8scap.cli.reading import add_selection, opened
from k8scap.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from k8scap.analysis import Capture
    from k8scap.cli.command import Commands


def add_commands(commands: Commands) -> None:
    command = add_command(
        commands, "wireshark", run_wireshark, "open a capture in Wireshark, with names and findings"
    )
    command.usage = "k8scap wireshark FILE ... [options]\n       k8scap wireshark --install-extcap [DIR]"
    command.add_argument("files", nargs="*", metavar="FILE", help="pcap or pcapng, gzip too; or a manifest")
    add_selection(command)
    command.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="keep the pcapng there; default: a private file, gone afterwards",
    )
    command.add_argument("--no-open", action="store_true", help="only write OUT")
    command.add_argument(
        "--no-findings", action="store_true", help="without the findings: for files larger than memory"
    )
    command.add_argument("--no-secrets", action="store_true", help="leave the file's decryption secrets out")
    command.add_argument(
        "--install-extcap",
        nargs="?",
        const="",
        metavar="DIR",
        help="have pods and containers stand in Wireshark's own list of interfaces",
    )


def run_wireshark(arguments: argparse.Namespace) -> int:
    if arguments.install_extcap is not None:
        return _install(arguments)
    if not arguments.files:
        raise UsageError("wireshark needs a capture file.", next_step="k8scap wireshark capture.pcap")
    if arguments.no_open and not arguments.output:
        raise UsageError("--no-open writes a file, and none is named.", next_step="add -o found.pcapng")
    cap = opened(arguments)
    if arguments.output:
        path = _written(cap, Path(arguments.output), arguments)
        print(path)
        return 0 if arguments.no_open else _open(path)
    with tempfile.TemporaryDirectory(prefix="k8scap-") as folder:
        return _open(_written(cap, Path(folder) / f"{cap.points[0]}.pcapng", arguments))


def _install(arguments: argparse.Namespace) -> int:
    from k8scap.wireshark.installing import install

    if arguments.files:
        raise UsageError("--install-extcap opens no capture.", next_step="k8scap wireshark --install-extcap")
    print(install(arguments.install_extcap or None))
    print("next: start Wireshark anew; pods stand in its list of interfaces", file=sys.stderr)
    return 0


def _written(cap: Capture, path: Path, arguments: argparse.Namespace) -> Path:
    written = cap.to_pcapng(
        path,
        findings=() if arguments.no_findings else None,
        comments=_marks(cap),
        secrets=not arguments.no_secrets,
    )
    print(_told(cap), file=sys.stderr)
    return written


def _told(cap: Capture) -> str:
    """How many frames were written: a filter that nothing passes makes a file, too."""
    from k8scap.cards.narrowing import narrowed_to, none_passes

    frames = sum(len(piece) for piece in cap.pieces(("length",), 1_000_000))
    if cap.is_whole:
        return f"{frames:,} frames were written."
    return f"{frames:,} frames pass {narrowed_to(cap)}, and were written." if frames else none_passes(cap)


def _marks(cap: Capture) -> dict[tuple[str, int], str]:
    """What was marked and noted in the packet browser."""
    from k8scap.browser.marks import Marks

    marks = Marks(cap.recordings, cap.points)
    return {key: marks.note(key) or "marked" for key in marks}


def _open(path: Path) -> int:
    from k8scap.wireshark.program import open_in_wireshark

    return open_in_wireshark(path)
