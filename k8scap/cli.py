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

from k8scap.errors import K8scapError, ToolMissingError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from k8scap.analysis import Capture

TARGETS = """targets:
  docker/NAME      a container of the Docker engine, or a compose service
  container/ID     a container of any runtime, found in /proc/*/cgroup
  pid/N            the network namespace of a process
  netns/NAME       a namespace of `ip netns`"""

EXIT_CODES = """exit codes: 0 done, 1 findings at or above --fail-on, 2 usage or filter, 3 target not found
or not running, 4 not permitted, 5 a tool is missing, 6 the capture broke off (what came is kept),
7 unreadable file"""

TABLES = {
    "packets": "one row a packet",
    "conversations": "who talked to whom, how much, how it went",
    "latency": "one row a round-trip sample",
    "retransmissions": "one row a repeated segment",
    "exchanges": "requests and answers, and how long the server thought",
    "lookups": "DNS questions and their answers",
    "protocols": "the protocol hierarchy",
}
TABLE_ATTRIBUTE = {"latency": "round_trips"}
NAMESPACES = ("mount", "uts", "ipc", "net", "pid", "user", "cgroup")


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


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="k8scap",
        description="From a container's network namespace to the answer.",
        epilog=f"{TARGETS}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"k8scap {version('k8scap')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_capture(commands)
    add_enter(commands)
    add_netns(commands)
    for name, meaning in TABLES.items():
        add_table(commands, name, meaning)
    add_diagnose(commands)
    add_report(commands)
    add_notebook(commands)
    add_lab(commands)
    return parser


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    meaning: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name, help=meaning, description=meaning, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.set_defaults(run=run)
    return command


def add_capture(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(commands, "capture", run_capture, "capture in a target's network namespace")
    command.epilog = (
        f"{TARGETS}\n\nThe capture ends at its first limit, with COMMAND, on Ctrl-C or on SIGTERM."
    )
    command.usage = "k8scap capture TARGET [options] [-- COMMAND ...]"
    command.add_argument("target")
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


def run_capture(arguments: argparse.Namespace) -> int:
    from k8scap import live

    to_stdout = arguments.w == "-"
    seconds = arguments.seconds
    if seconds is None and not arguments.command_after:
        seconds = 60.0
    with live.stop_on_signals():
        cap = live.capture(
            arguments.target,
            filter=arguments.filter,
            exact_filter=arguments.exact_filter,
            interface=tuple(arguments.interface or ()),
            seconds=seconds,
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
    files = " ".join(str(f) for r in cap.recordings for f in r.files)
    print(f"recorded: {files}")
    if quiet:
        return
    try:
        print(cap)
        print_findings(cap)
    except ToolMissingError as error:
        print(f"k8scap: the findings need {error.tool}. Next: {error.next_step}", file=sys.stderr)
    print(f"\nnext: k8scap report {files} -o report.html")


def add_enter(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        commands,
        "enter",
        run_enter,
        "a shell, or COMMAND, in a target's namespaces (the network's, at the least)",
    )
    command.usage = "k8scap enter TARGET [options] [-- COMMAND ...]"
    command.epilog = TARGETS
    command.add_argument("target")
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
    )


def add_netns(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(commands, "netns", run_netns, "a target's namespaces, interfaces and addresses")
    command.epilog = TARGETS
    command.add_argument("target")
    command.add_argument("--format", choices=["text", "json"], default="text")


def run_netns(arguments: argparse.Namespace) -> int:
    import json

    from k8scap.live.namespaces import describe

    namespaces = describe(arguments.target)
    print(json.dumps(namespaces.to_dict(), indent=1) if arguments.format == "json" else namespaces.text())
    return 0


def add_files(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="+", metavar="FILE", help="pcap or pcapng, gzip too")
    command.add_argument("--where", default=None, metavar="FILTER", help="Wireshark's display filter")
    command.add_argument(
        "--between", nargs=2, metavar=("A", "B"), help="times with a zone: 2026-01-31T10:00:00Z …"
    )


def opened(arguments: argparse.Namespace) -> Capture:
    from k8scap.analysis import load

    return load(*arguments.files, where=arguments.where, between=times(arguments.between))


def times(texts: Sequence[str] | None) -> tuple[object, object] | None:
    from datetime import datetime

    if texts is None:
        return None
    try:
        first, last = (datetime.fromisoformat(text) for text in texts)
    except ValueError as error:
        raise UsageError(
            f"{error}.", next_step="--between 2026-01-31T10:00:00Z 2026-01-31T10:05:00Z"
        ) from None
    return first, last


def add_table(commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, meaning: str) -> None:
    command = add_command(commands, name, run_table, meaning)
    add_files(command)
    command.add_argument("--format", choices=["table", "csv", "json", "parquet"], default="table")
    command.add_argument("-o", "--output", metavar="OUT", help="default: stdout")
    command.set_defaults(table=TABLE_ATTRIBUTE.get(name, name))


def run_table(arguments: argparse.Namespace) -> int:
    from k8scap.terminal import write_table

    write_table(getattr(opened(arguments), arguments.table), form=arguments.format, output=arguments.output)
    return 0


def add_diagnose(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(commands, "diagnose", run_diagnose, "what was found, what was ruled out")
    add_files(command)
    command.add_argument("--format", choices=["text", "json"], default="text")
    command.add_argument("--fail-on", choices=["info", "warning", "critical"], help="exit 1 when found")


def run_diagnose(arguments: argparse.Namespace) -> int:
    import json

    from k8scap.model import at_or_above

    cap = opened(arguments)
    if arguments.format == "json":
        print(json.dumps([finding.to_dict() for finding in cap.findings], indent=1))
    else:
        print(cap)
        print_findings(cap)
    return int(bool(arguments.fail_on) and any(at_or_above(f, arguments.fail_on) for f in cap.findings))


def print_findings(cap: Capture) -> None:
    from k8scap.terminal import findings_text

    print(findings_text(cap.findings))


def add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(commands, "report", run_report, "one self-contained HTML file")
    add_files(command)
    command.add_argument("-o", "--output", default="report.html", metavar="OUT")


def run_report(arguments: argparse.Namespace) -> int:
    from k8scap.html_report import report

    print(report(opened(arguments), arguments.output))
    return 0


def add_notebook(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        commands, "notebook", run_notebook, "JupyterLab on the notebooks, bound to a capture"
    )
    command.add_argument("file", nargs="?", metavar="FILE", help="default: the recorded example")
    command.add_argument("-o", "--output", metavar="DIR", help="where the copies go; default: NAME-notebooks")
    command.add_argument("--no-open", action="store_true", help="only make the copies")


def run_notebook(arguments: argparse.Namespace) -> int:
    from k8scap.notebook import copy_notebooks, open_jupyterlab

    folder = copy_notebooks(arguments.file, directory=arguments.output)
    print(folder)
    return 0 if arguments.no_open else open_jupyterlab(folder)


def add_lab(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
    print(f"report: {report(cap, Path(arguments.output) / f'{arguments.scenario}.html')}")
    return 0
