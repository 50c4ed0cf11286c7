"""The command that makes a bundle for somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.cli.command import add_command
from k8scap.cli.reading import add_files, opened

if TYPE_CHECKING:
    import argparse

    from k8scap.cli.command import Commands


def add_commands(commands: Commands) -> None:
    command = add_command(commands, "share", run_share, "the evidence of a finding, for somebody else")
    add_files(command)
    command.add_argument(
        "--finding",
        type=int,
        action="append",
        required=True,
        metavar="N",
        help="as diagnose numbers them; repeatable",
    )
    command.add_argument(
        "-o", "--output", metavar="OUT", help="a folder, or NAME.zip; default: POINT-finding-N"
    )
    command.add_argument(
        "--payload", action="store_true", help="keep what applications said: passwords and all"
    )
    command.add_argument("--dns", action="store_true", help="keep DNS messages: which names were looked up")


def run_share(arguments: argparse.Namespace) -> int:
    from k8scap.sharing import share

    print(
        share(
            opened(arguments),
            findings=arguments.finding,
            output=arguments.output,
            payload=arguments.payload,
            dns=arguments.dns,
        )
    )
    return 0
