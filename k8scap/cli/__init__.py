"""argv → the same public functions that the notebook calls.

argparse, not a framework: it is what starts in a few milliseconds, and `k8scap --help` must be there at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.cli import capturing, checking, comparing, compiling, correlating, reading, sharing, wireshark
from k8scap.cli.command import TARGETS
from k8scap.errors import K8scapError

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_CODES = """exit codes: 0 done, 1 findings at or above --fail-on, 2 usage or filter, 3 target not found
or not running, 4 not permitted, 5 a tool is missing, 6 the capture broke off (what came is kept),
7 unreadable file"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Errors become one sentence on stderr."""
    words, command = split_command(sys.argv[1:] if argv is None else list(argv))
    arguments = build_parser().parse_args(words)
    arguments.command_after = command
    try:
        return int(arguments.run(arguments))
    except K8scapError as error:
        print(f"k8scap: {error.message}", file=sys.stderr)
        if error.next_step:
            print(f"  next: {error.next_step}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `k8scap packets FILE | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def split_command(words: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """What stands behind the first `--` is a command to run, word by word, and no option of ours."""
    if "--" not in words:
        return words, ()
    at = words.index("--")
    return words[:at], tuple(words[at + 1 :])


def _called() -> str:
    """As a plugin, kubectl runs us as kubectl-k8scap, and its user types `kubectl k8scap`."""
    return "kubectl k8scap" if Path(sys.argv[0]).name == "kubectl-k8scap" else "k8scap"


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog=_called(),
        description="From a container's network namespace to the answer.",
        epilog=f"{TARGETS}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"k8scap {version('k8scap')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    capturing.add_commands(commands)
    checking.add_commands(commands)
    reading.add_commands(commands)
    comparing.add_commands(commands)
    correlating.add_commands(commands)
    sharing.add_commands(commands)
    wireshark.add_commands(commands)
    compiling.add_commands(commands)
    return parser
