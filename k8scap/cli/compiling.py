"""The command that compiles the packet engine ahead of its first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.cli.command import add_command

if TYPE_CHECKING:
    import argparse

    from k8scap.cli.command import Commands


def add_commands(commands: Commands) -> None:
    add_command(commands, "compile", run_compile, "compile the packet engine now, not when it is first used")


def run_compile(_: argparse.Namespace) -> int:
    from k8scap.parser.compiling import shelf
    from k8scap.parser.warm_up import compile_kernels

    compile_kernels()
    if not shelf().missed:
        print("compiled already.")
    return 0
