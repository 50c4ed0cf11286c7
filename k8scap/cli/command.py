"""What every command of the command line is made of."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    # argparse has no public name for what add_subparsers() returns
    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

TARGETS = """targets:
  pod/NAME, NAME   a pod; also deploy/, sts/, ds/, rs/, job/, cj/, svc/NAME: their pods
  node/NAME        a node's own network
  docker/NAME      a container of the Docker engine, or a compose service
  container/ID     a container of any runtime, found in /proc/*/cgroup
  pid/N            the network namespace of a process
  netns/NAME       a namespace of `ip netns`"""


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    meaning: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name, help=meaning, description=meaning, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.set_defaults(run=run)
    return command
