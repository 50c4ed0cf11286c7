"""Commands that read capture files: the tables, diagnose, report, notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.cli.command import add_command

if TYPE_CHECKING:
    import argparse

    from k8scap.analysis import Capture
    from k8scap.cli.command import Commands

TABLES = {
    "packets": "one row a packet",
    "conversations": "who talked to whom, how much, how it went",
    "latency": "one row a round-trip sample",
    "retransmissions": "one row a repeated segment",
    "exchanges": "requests and answers, and how long the server thought",
    "hops": "connections that a sidecar's proxy splits, joined again, and its share of the time",
    "requests": "requests in the application's words: HTTP, gRPC, TLS, DNS, databases, queues",
    "lookups": "DNS questions and their answers",
    "protocols": "the protocol hierarchy",
}
TABLE_ATTRIBUTE = {"latency": "round_trips"}


def add_commands(commands: Commands) -> None:
    for name, meaning in TABLES.items():
        add_table(commands, name, meaning)
    add_diagnose(commands)
    add_report(commands)
    add_notebook(commands)


def add_files(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="+", metavar="FILE", help="pcap or pcapng, gzip too; or a manifest")
    add_selection(command)


def add_selection(command: argparse.ArgumentParser) -> None:
    """Which frames, and who the addresses are."""
    command.add_argument("--where", default=None, metavar="FILTER", help="Wireshark's display filter")
    command.add_argument(
        "--names",
        action="append",
        metavar="NAMES",
        help="who the addresses are: kubectl's -o json, a hosts file, a CSV, another manifest; "
        "or the word capture: its own DNS answers and TLS server names; repeatable",
    )
    command.add_argument(
        "--between", nargs=2, metavar=("A", "B"), help="times with a zone: 2026-01-31T10:00:00Z …"
    )


def opened(arguments: argparse.Namespace, *files: str) -> Capture:
    """The capture of `files`, or of all that were named, as its options say."""
    from k8scap.analysis import load

    between = tuple(arguments.between) if arguments.between else None
    return load(*(files or arguments.files), where=arguments.where, between=between, names=arguments.names)


def add_table(commands: Commands, name: str, meaning: str) -> None:
    command = add_command(commands, name, run_table, meaning)
    add_files(command)
    command.add_argument("--format", choices=["table", "csv", "json", "parquet"], default="table")
    command.add_argument("-o", "--output", metavar="OUT", help="default: stdout")
    if name == "packets":
        command.add_argument(
            "--with-names", action="store_true", help="the manifest's names as columns; --names adds them too"
        )
    command.set_defaults(table=TABLE_ATTRIBUTE.get(name, name))


def run_table(arguments: argparse.Namespace) -> int:
    from k8scap.terminal import write_table

    cap = opened(arguments)
    table = getattr(cap, arguments.table)
    if arguments.table == "packets" and (arguments.names or arguments.with_names):
        table = cap.named(table)
    write_table(table, form=arguments.format, output=arguments.output)
    return 0


def add_diagnose(commands: Commands) -> None:
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
        print_diagnosis(cap)
    return int(bool(arguments.fail_on) and any(at_or_above(f, arguments.fail_on) for f in cap.findings))


def print_diagnosis(cap: Capture) -> None:
    """The capture's card, then every finding with its evidence."""
    from k8scap.capture_card import text
    from k8scap.cards.narrowing import NOTHING_LEFT
    from k8scap.terminal import findings_text

    print(text(cap, verdicts=False))
    if cap.is_whole or len(cap.packets):
        print(findings_text(cap.findings))
    else:
        print(f"\n{NOTHING_LEFT}")


def add_report(commands: Commands) -> None:
    from k8scap.html_report import FORMATS

    command = add_command(
        commands, "report", run_report, "one self-contained file: HTML, PDF, notebook, Markdown"
    )
    add_files(command)
    command.add_argument(
        "--format", choices=FORMATS, help="default: what OUT ends with; html where it has no ending"
    )
    command.add_argument("-o", "--output", metavar="OUT", help="default: report.html, report.pdf …")


def run_report(arguments: argparse.Namespace) -> int:
    from k8scap.html_report import report

    output = arguments.output or f"report.{arguments.format or 'html'}"
    print(report(opened(arguments), output, format=arguments.format))
    return 0


def add_notebook(commands: Commands) -> None:
    command = add_command(
        commands, "notebook", run_notebook, "JupyterLab on the notebooks, bound to a capture"
    )
    command.add_argument("file", nargs="?", metavar="FILE", help="default: the recorded example")
    command.add_argument(
        "other_end", nargs="?", metavar="OTHER", help="what was captured at the other end, for both-ends"
    )
    command.add_argument(
        "--story",
        metavar="STORY",
        help="only one: capture, latency, retransmissions, conversations, post-mortem or both-ends",
    )
    command.add_argument("-o", "--output", metavar="DIR", help="where the copies go; default: NAME-notebooks")
    command.add_argument("--no-open", action="store_true", help="only make the copies")


def run_notebook(arguments: argparse.Namespace) -> int:
    from k8scap.notebook import copy_notebooks, open_jupyterlab

    folder = copy_notebooks(
        arguments.file, other_end=arguments.other_end, story=arguments.story, directory=arguments.output
    )
    print(folder)
    return 0 if arguments.no_open else open_jupyterlab(folder, story=arguments.story)
