"""doctor: what works from here, and what would change what does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from k8scap.cli.capturing import add_cluster_options
from k8scap.cli.command import TARGETS, add_command

if TYPE_CHECKING:
    import argparse

    from k8scap.cli.command import Commands

_NO_WAY = 4  # as a capture would end: not permitted


def add_commands(commands: Commands) -> None:
    command = add_command(
        commands, "doctor", run_doctor, "what works here: tools, cluster, and each way into a target"
    )
    command.epilog = TARGETS
    command.add_argument("target", nargs="?")
    add_cluster_options(command)
    command.add_argument("--clean", action="store_true", help="delete helper pods that have expired")
    command.add_argument("--format", choices=["text", "json"], default="text")
    command.add_argument(
        "--rbac",
        metavar="WAY",
        choices=["node-pod", "exec", "ephemeral", "workloads", "names"],
        help="print the manifest that allows WAY in the namespace of -n",
    )
    command.add_argument("--group", default="developers", help="whom the manifest of --rbac allows it")


def run_doctor(arguments: argparse.Namespace) -> int:
    from k8scap import live

    if arguments.rbac:
        from k8scap.live.kube import rbac

        namespace = arguments.namespace or "default"
        print(rbac.manifest(arguments.rbac, namespace=namespace, group=arguments.group), end="")
        return 0
    found = live.doctor(
        arguments.target,
        namespace=arguments.namespace,
        context=arguments.context,
        container=arguments.container,
        clean=arguments.clean,
    )
    print(json.dumps(found.to_dict(), indent=1) if arguments.format == "json" else found.text())
    return 0 if found.ok else _NO_WAY
