"""The lab's own process, started by `k8scap.lab.run`: argv in, one line of JSON out."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from k8scap.errors import K8scapError
from k8scap.lab import failure
from k8scap.lab.kernel import die_with

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _end)
    die_with(arguments.parent, signal.SIGTERM)  # which ends the capture as it should be ended
    try:
        answer = {"pcap": str(_perform(arguments))}
        code = 0
    except K8scapError as error:
        answer = {"failure": failure.to_plain(error)}  # type: ignore[dict-item]
        code = error.exit_code
    sys.stdout.write(json.dumps(answer) + "\n")
    return code


def _perform(arguments: argparse.Namespace) -> Path:
    from k8scap.lab.plan import Rule
    from k8scap.lab.scenarios import draw
    from k8scap.lab.stage import perform

    scenario = draw(arguments.scenario, seed=arguments.seed)
    rules = (*map(Rule.parse, arguments.rule), *scenario.rules)
    return perform(replace(scenario, rules=rules), directory=arguments.directory, name=arguments.name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m k8scap.lab", description=__doc__)
    parser.add_argument("scenario")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--parent", type=int, required=True, help="the process to end with")
    parser.add_argument("--rule", action="append", default=[], help="a line of the plan, before all others")
    return parser


def _end(*_: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
