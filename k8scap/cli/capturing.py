"""Commands that touch a running system: capture, enter, netns, lab."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from k8scap.cli.command import TARGETS, add_command
from k8scap.cli.reading import print_diagnosis
from k8scap.errors import ToolMissingError

if TYPE_CHECKING:
    import argparse

    from k8scap.analysis import Capture
    from k8scap.cli.command import Commands

NAMESPACES = ("mount", "uts", "ipc", "net", "pid", "user", "cgroup")


def add_commands(commands: Commands) -> None:
    add_capture(commands)
    add_enter(commands)
    add_netns(commands)
    add_lab(commands)


def add_capture(commands: Commands) -> None:
    command = add_command(commands, "capture", run_capture, "capture in a target's network namespace")
    command.epilog = (
        f"{TARGETS}\n\nThe capture ends at its first limit, with COMMAND, on Ctrl-C or on SIGTERM."
    )
    command.usage = "k8scap capture TARGET ... [options] [-- COMMAND ...]"
    command.add_argument("target", nargs="*")
    add_cluster_options(command)
    command.add_argument("-l", "--selector", default="", help="the pods that these labels select")
    command.add_argument("--all", action="store_true", help="allow more than 10 pods")
    command.add_argument("--follow", action="store_true", help="capture pods too that appear meanwhile")
    command.add_argument(
        "--via",
        choices=["auto", "local", "node-pod", "ephemeral", "exec"],
        default="auto",
        help="the way into a pod; auto takes the best that is allowed",
    )
    command.add_argument("-f", "--filter", default="", help="as tcpdump takes it, e.g. 'tcp port 6379'")
    command.add_argument(
        "--exact-filter", action="store_true", help="do not add ICMP, ARP, fragments and DNS to the filter"
    )
    command.add_argument("-i", "--interface", action="append", help="may be repeated; default: the main one")
    command.add_argument("--seconds", type=float, help="default 60, or as long as COMMAND runs")
    command.add_argument("--packets", type=int)
    command.add_argument("--size", default="500MB", help="default 500MB; of each file, with --ring")
    command.add_argument("--snaplen", type=int, default=0, help="bytes kept of each packet; default: all")
    command.add_argument("--ring", type=int, metavar="N", help="keep the last N files of --size each")
    where = command.add_mutually_exclusive_group()
    where.add_argument("-o", "--output", metavar="DIR", help="folder for the recording; default: here")
    where.add_argument("-w", choices=["-"], help="write the pcap to stdout, for a pipe into Wireshark")
    command.add_argument("--name", help="of the recording: NAME.pcap and NAME.json")
    command.add_argument("--quiet", action="store_true", help="no progress, no findings")


def add_cluster_options(command: argparse.ArgumentParser) -> None:
    """Which cluster, namespace and container, in kubectl's words."""
    command.add_argument("-n", "--namespace", help="of the pods; default: the kubeconfig's")
    command.add_argument("--context", help="of the kubeconfig; default: its current one")
    command.add_argument("-c", "--container", help="whose processes are entered (the network is the pod's)")


def run_capture(arguments: argparse.Namespace) -> int:
    from k8scap import live

    to_stdout = arguments.w == "-"
    with live.stop_on_signals():
        cap = live.capture(
            *arguments.target,
            namespace=arguments.namespace,
            context=arguments.context,
            container=arguments.container,
            selector=arguments.selector,
            all_pods=arguments.all,
            follow=arguments.follow,
            via=arguments.via,
            filter=arguments.filter,
            exact_filter=arguments.exact_filter,
            interface=tuple(arguments.interface or ()),
            seconds="auto" if arguments.seconds is None else arguments.seconds,
            packets=arguments.packets,
            size=arguments.size,
            snaplen=arguments.snaplen,
            ring=arguments.ring,
            output="-" if to_stdout else arguments.output,
            name=arguments.name,
            command=arguments.command_after,
            progress=not arguments.quiet,
        )
    if not to_stdout:
        tell_capture(cap, quiet=arguments.quiet)
    return 0


def tell_capture(cap: Capture, *, quiet: bool) -> None:
    """What was captured, and what it says: the answer, not only the file."""
    files = shlex.join(_to_open(cap))
    print(f"recorded: {files}")
    if quiet:
        return
    try:
        print_diagnosis(cap)
    except ToolMissingError as error:
        print(f"k8scap: the findings need {error.tool}. Next: {error.next_step}", file=sys.stderr)
    print(f"\nnext: k8scap report {files} -o report.html")


def _to_open(cap: Capture) -> list[str]:
    """What `load` takes to open all of it: the files, or the manifest over all where there is one."""
    over_all = {
        str(r.files[0].with_name(r.manifest.capture)): None
        for r in cap.recordings
        if r.capture and r.manifest
    }
    own = [str(f) for r in cap.recordings if not r.capture for f in r.files]
    return [*over_all, *own]


def add_enter(commands: Commands) -> None:
    command = add_command(
        commands,
        "enter",
        run_enter,
        "a shell, or COMMAND, in a target's namespaces (the network's, at the least)",
    )
    command.usage = "k8scap enter TARGET [options] [-- COMMAND ...]"
    command.epilog = TARGETS
    command.add_argument("target")
    add_cluster_options(command)
    for name in NAMESPACES:
        command.add_argument(f"--{name}", action="store_true", help=f"enter its {name} namespace")
    command.add_argument("--setuid", type=int, metavar="UID")
    command.add_argument("--setgid", type=int, metavar="GID")
    command.add_argument("--root", action="store_true", help="its root directory")
    command.add_argument("--wd", action="store_true", help="its working directory")


def run_enter(arguments: argparse.Namespace) -> int:
    from k8scap import live

    chosen = [name for name in NAMESPACES if getattr(arguments, name)]
    return live.enter(
        arguments.target,
        namespaces=tuple(dict.fromkeys(["net", *chosen])),
        command=arguments.command_after,
        setuid=arguments.setuid,
        setgid=arguments.setgid,
        root=arguments.root,
        wd=arguments.wd,
        namespace=arguments.namespace,
        context=arguments.context,
        container=arguments.container,
    )


def add_netns(commands: Commands) -> None:
    command = add_command(commands, "netns", run_netns, "a target's namespaces, interfaces and addresses")
    command.epilog = TARGETS
    command.add_argument("target")
    add_cluster_options(command)
    command.add_argument("--format", choices=["text", "json"], default="text")


def run_netns(arguments: argparse.Namespace) -> int:
    import json

    from k8scap.live.doors import Scope
    from k8scap.live.namespaces import describe

    scope = Scope(namespace=arguments.namespace, context=arguments.context, container=arguments.container)
    namespaces = describe(arguments.target, scope=scope)
    print(json.dumps(namespaces.to_dict(), indent=1) if arguments.format == "json" else namespaces.text())
    return 0


def add_lab(commands: Commands) -> None:
    command = add_command(
        commands, "lab", run_lab, "make a fault, capture it, report on it: needs no cluster"
    )
    command.add_argument("scenario", nargs="?")
    command.add_argument("--list", action="store_true", help="the scenarios")
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("-o", "--output", metavar="DIR", default=".")


def run_lab(arguments: argparse.Namespace) -> int:
    from k8scap import lab
    from k8scap.html_report import report

    if arguments.list or not arguments.scenario:
        width = max(map(len, lab.SCENARIOS))
        print("\n".join(f"{name:{width}}  {meaning}" for name, meaning in lab.SCENARIOS.items()))
        return 0
    cap = lab.run(arguments.scenario, seed=arguments.seed, directory=arguments.output)
    tell_capture(cap, quiet=False)
    print(f"report: {report(cap, cap.recordings[0].files[0].with_suffix('.html'))}")
    return 0
