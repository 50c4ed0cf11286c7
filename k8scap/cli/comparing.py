"""The command that compares two captures, or the pods, nodes … of one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from k8scap.cli.command import add_command
from k8scap.cli.reading import add_selection, opened

if TYPE_CHECKING:
    import argparse

    from k8scap.cli.command import Commands
    from k8scap.comparison import Comparison

MEANING = "what changed between two captures, or who in one differs from its kind"


def add_commands(commands: Commands) -> None:
    command = add_command(commands, "compare", run_compare, MEANING)
    command.add_argument("before", metavar="BEFORE", help="pcap or pcapng, gzip too; or a manifest")
    command.add_argument("after", metavar="AFTER", nargs="?", help="the capture that it is compared with")
    command.add_argument(
        "--by",
        choices=["pod", "workload", "node", "zone", "server"],
        help="instead of AFTER: compare these with one another",
    )
    add_selection(command)
    command.add_argument("--format", choices=["text", "csv", "json"], default="text")


def run_compare(arguments: argparse.Namespace) -> int:
    from k8scap.comparison import compare

    before = opened(arguments, arguments.before)
    after = opened(arguments, arguments.after) if arguments.after else None
    print_comparison(compare(before, after, by=arguments.by), form=arguments.format)
    return 0


def print_comparison(found: Comparison, *, form: str) -> None:
    from k8scap.terminal import as_text

    if form == "json":
        rows = json.loads(as_text(found.table, form="json", rows=None))
        print(json.dumps({"summary": found.summary, "changes": found.changes, "table": rows}, indent=1))
    elif form == "csv":
        print(as_text(found.table, form="csv", rows=None), end="")
    else:
        print(found)
