"""The command that compares capture points: correlate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.cli.command import add_command
from k8scap.cli.reading import add_files, opened

if TYPE_CHECKING:
    import argparse

    from k8scap.cli.command import Commands

TABLES = ("packets", "missing", "connections", "clocks", "paths")


def add_commands(commands: Commands) -> None:
    command = add_command(
        commands,
        "correlate",
        run_correlate,
        "the same packets at several points: delays, and where they were lost",
    )
    add_files(command)
    command.add_argument(
        "--table", choices=TABLES, help="one of its tables, in place of the summary; csv alone shows missing"
    )
    command.add_argument("--format", choices=["text", "csv", "json"], default="text")
    command.add_argument("-o", "--output", metavar="OUT", help="default: stdout")


def run_correlate(arguments: argparse.Namespace) -> int:
    import json
    from pathlib import Path

    from k8scap.correlation import correlate
    from k8scap.terminal import write_table

    found = correlate(opened(arguments))
    name = arguments.table or ("missing" if arguments.format == "csv" else "")
    if name:
        form = "table" if arguments.format == "text" else arguments.format
        write_table(getattr(found, name), form=form, output=arguments.output)
        return 0
    text = json.dumps(found.to_dict(), indent=1) if arguments.format == "json" else repr(found)
    if arguments.output:
        Path(arguments.output).write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    return 0
