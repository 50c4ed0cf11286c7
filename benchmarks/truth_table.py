"""Every scenario of the lab by many seeds: whether what was done to the traffic is found, and nothing else.

    python benchmarks/truth_table.py DIR [--only NAME,…] [--seeds A-B] [--jobs 3] [--picture FILE] [--keep]
    python benchmarks/truth_table.py DIR --again …

Runs each scenario of the catalogue (20 seeds; the innocent ones 100) and some mixtures, each in a process of
its own, on the tree that this file stands in. A line for each run goes to DIR/results.jsonl: what is there
already is not run again (what failed to run is). Then prints two tables in Markdown and draws the second:

- by scenario: *recall*, the share of runs in which the finding that the catalogue names is the first of all
  (of a mixture: in which each part's is found); *cause first*, in which one of the catalogue's causes stands
  first in its `consistent_with`; *precision*, the share of findings of severity warning or above that the
  catalogue names (of the innocent: the share of runs without any); what else was found, and with which seeds.
- by confidence: how many of the findings of severity warning or above were right, where so sure.

With --keep the captures stay in DIR/SCENARIO-SEED, and --again has the rules judge these anew, without any
traffic: what a changed rule says of the same hour of it (a line for each goes to DIR/again.jsonl).

Where several runs share few processors, their pauses are losses and waits of the capture too: --jobs 1 tells.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import calibration  # noqa: E402 - found by the line above, as is the package

from k8scap.lab.catalogue import CATALOGUE, parts  # noqa: E402 - the tree's own, not an installed one

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from k8scap.analysis import Capture

    Run = dict[str, Any]

FAULT_SEEDS, INNOCENT_SEEDS = 20, 100
MIXTURES = (
    "packet-loss+slow-server",
    "connection-refused+slow-reader",
    "dns-timeout+packet-loss",
    "connection-refused+dns-timeout",
    "slow-reader+slow-server",
    "connection-refused+delayed-ack",
    "conntrack-race+slow-server",
    "dns-servfail+idle-reset",
    "http-errors+ndots-storm",
    "http-errors+packet-loss",
    "mtu-black-hole+slow-server",
    "network-policy-drop+slow-server",
    "packet-loss+tls-failure",
    "reordering+slow-server",
)
LONGEST = 300.0  # seconds for one run, of which the lab itself takes five
NONE = "-"
LOUD = ("warning", "critical")


def one(scenario: str, seed: int, folder: str) -> Run:
    """Run it here and now: what was found, in the order in which it was said."""
    from k8scap import lab

    return said(lab.run(scenario, seed=seed, directory=folder), scenario, seed)


def judged_anew(key: tuple[str, int], directory: Path) -> Run:
    """What the rules say now of a capture that was kept."""
    from k8scap import load

    scenario, seed = key
    try:
        folder = directory / f"{scenario}-{seed}"
        alone, client = folder / f"{scenario}.pcap", folder / f"{scenario}.client.pcap"
        return said(load(alone if alone.exists() else client), scenario, seed)
    except Exception as error:  # noqa: BLE001 - one capture that breaks a rule must be told, not end all
        return {"scenario": scenario, "seed": seed, "error": f"{type(error).__name__}: {error}"}


def said(cap: Capture, scenario: str, seed: int) -> Run:
    """What was found, in the order in which it is said."""
    keys = ("rule", "severity", "confidence", "title", "consistent_with", "affected")
    found = [f.to_dict() for f in cap.findings if f.status == "found"]
    judged = {f.rule: dict(f.thresholds) for f in cap.findings}
    wanted = [CATALOGUE[part].rule for part in parts(scenario)]
    return {
        "scenario": scenario,
        "seed": seed,
        "findings": [{key: finding[key] for key in keys} for finding in found],
        "thresholds": {rule: judged.get(rule, {}) for rule in wanted if rule},
    }


def apart(scenario: str, seed: int, *, keep: Path | None) -> Run:
    """The same in a process of its own; what it said where it failed."""
    with tempfile.TemporaryDirectory(prefix="truth-") as scratch:
        folder = str(keep / f"{scenario}-{seed}") if keep else scratch
        argv = [sys.executable, __file__, folder, "--one", scenario, "--seeds", f"{seed}-{seed}"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, timeout=LONGEST, env=environment, check=False
            )
        except subprocess.TimeoutExpired:
            return {"scenario": scenario, "seed": seed, "error": f"took more than {LONGEST:.0f} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return {"scenario": scenario, "seed": seed, "error": last}
    run: Run = json.loads(done.stdout.splitlines()[-1])
    return run


def runs_of(path: Path) -> list[Run]:
    """What was run before; a line that was cut off by a crash, and what failed, count as not run."""
    lines = path.read_text().splitlines() if path.exists() else []
    runs = []
    for line in lines:
        try:
            runs.append(json.loads(line))
        except ValueError:
            continue
    return [run for run in runs if "error" not in run]


def run_all(wanted: Sequence[tuple[str, int]], directory: Path, *, jobs: int, keep: Path | None) -> list[Run]:
    """All that is wanted, from the file or run now and written to it at once; what failed is left out."""
    path = directory / "results.jsonl"
    there = {(run["scenario"], run["seed"]): run for run in runs_of(path)}
    missing = [key for key in wanted if key not in there]
    lock, done = Lock(), 0

    def run(key: tuple[str, int]) -> None:
        nonlocal done
        result = apart(*key, keep=keep)
        with lock, path.open("a") as file:
            file.write(json.dumps(result) + "\n")
            done += 1
            if "error" not in result:
                there[key] = result
            print(f"{done}/{len(missing)} {_line(result)}", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(run, missing))
    return [there[key] for key in wanted if key in there]


def run_again(wanted: Sequence[tuple[str, int]], directory: Path, *, jobs: int) -> list[Run]:
    """All of the wanted that were kept, judged anew; what breaks a rule is left out, and told."""
    kept = [key for key in wanted if (directory / f"{key[0]}-{key[1]}" / f"{key[0]}.truth.json").exists()]
    runs = []
    with (directory / "again.jsonl").open("w") as file, ProcessPoolExecutor(jobs) as pool:
        for run in pool.map(judged_anew, kept, [directory] * len(kept), chunksize=8):
            file.write(json.dumps(run) + "\n")
            if "error" in run or not is_right(run):
                print(_line(run), file=sys.stderr, flush=True)
            runs.append(run)
    return [run for run in runs if "error" not in run]


def _line(run: Run) -> str:
    name = f"{run['scenario']} {run['seed']}"
    if "error" in run:
        return f"{name}: FAILED {run['error']}"
    verdict = "right" if is_right(run) else "WRONG"
    return f"{name}: {verdict}, {', '.join(f['rule'] for f in loud(run)) or 'nothing loud'}"


def expected(run: Run) -> list[str]:
    """The rules that the catalogue names for a run; none where it is innocent."""
    return [rule for part in parts(run["scenario"]) if (rule := CATALOGUE[part].rule)]


def loud(run: Run) -> list[Run]:
    return [finding for finding in run["findings"] if finding["severity"] in LOUD]


def others(run: Run) -> list[str]:
    """The rules that spoke up although nothing of theirs was done."""
    return [finding["rule"] for finding in loud(run) if finding["rule"] not in expected(run)]


def is_found(run: Run) -> bool:
    """Whether the finding comes first; of a mixture, whether all are there."""
    rules, told = [finding["rule"] for finding in run["findings"]], expected(run)
    return set(told) <= set(rules) if len(told) > 1 else rules[:1] == told


def has_cause(run: Run) -> bool:
    """Whether each part's finding begins with a cause that the catalogue names, where it names some."""
    return all(_begins(run, CATALOGUE[part].rule, CATALOGUE[part].causes) for part in parts(run["scenario"]))


def _begins(run: Run, rule: str, causes: Sequence[str]) -> bool:
    """One of the rule's findings, as a mixture or many ports make several of them."""
    firsts = {cause for f in run["findings"] if f["rule"] == rule for cause in f["consistent_with"][:1]}
    return not causes or bool(firsts & set(causes))


def is_right(run: Run) -> bool:
    return not others(run) and (not expected(run) or (is_found(run) and has_cause(run)))


def table(runs: Iterable[Run]) -> str:
    """Markdown, a row a scenario, and one for them all."""
    by_name: dict[str, list[Run]] = {}
    for run in runs:
        by_name.setdefault(run["scenario"], []).append(run)
    head = ("scenario", "runs", "recall", "cause first", "precision", "else found (seeds)", "thresholds")
    rows = [head, ("---",) * len(head), *(_row(name, by_name[name]) for name in sorted(by_name))]
    rows.append(_total([run for runs in by_name.values() for run in runs]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(name: str, runs: list[Run]) -> tuple[str, ...]:
    faulty = bool(expected(runs[0]))
    caused = any(CATALOGUE[part].causes for part in parts(name))
    recall = share(sum(map(is_found, runs)), len(runs)) if faulty else NONE
    cause = share(sum(map(has_cause, runs)), len(runs)) if caused else NONE
    return (name, str(len(runs)), recall, cause, precision(runs), _else(runs), _thresholds(runs))


def _total(runs: list[Run]) -> tuple[str, ...]:
    faulty = [run for run in runs if expected(run)]
    caused = [run for run in faulty if any(CATALOGUE[part].causes for part in parts(run["scenario"]))]
    recall = share(sum(map(is_found, faulty)), len(faulty))
    cause = share(sum(map(has_cause, caused)), len(caused))
    return ("**all**", str(len(runs)), recall, cause, precision(runs), "", "")


def precision(runs: list[Run]) -> str:
    """Of what spoke up, how much was named; runs that must be silent count as one each."""
    wrong = sum(len(others(run)) for run in runs)
    right = sum(len(loud(run)) - len(others(run)) for run in runs)
    right += sum(not expected(run) and not loud(run) for run in runs)
    return share(right, right + wrong)


def share(count: int, total: int) -> str:
    """Never rounded up to 1.00, which says that there was no exception."""
    if not total:
        return NONE
    return "1.00" if count == total else f"{min(count / total, 0.99):.2f} ({total - count} of {total} not)"


def _else(runs: list[Run]) -> str:
    seeds: dict[str, list[int]] = {}
    for run in runs:
        for rule in dict.fromkeys(others(run)):
            seeds.setdefault(rule, []).append(run["seed"])
    quiet = Counter(f["rule"] for r in runs for f in r["findings"] if f["severity"] not in LOUD)
    told = [f"{rule} ({', '.join(map(str, sorted(where)))})" for rule, where in sorted(seeds.items())]
    told += [
        f"info: {rule} ({count} times)"
        for rule, count in sorted(quiet.items())
        if rule not in expected(runs[0])
    ]
    missed = [str(run["seed"]) for run in runs if expected(run) and not (is_found(run) and has_cause(run))]
    return "; ".join([*told, *([f"not found, or its cause: {', '.join(missed)}"] if missed else [])])


def _thresholds(runs: list[Run]) -> str:
    values = {f"{k} {v:g}" for run in runs for each in run["thresholds"].values() for k, v in each.items()}
    return ", ".join(sorted(values))


def _wanted(only: Sequence[str], seeds: range | None) -> list[tuple[str, int]]:
    """By seed first, so that a run which is broken off says something of each scenario."""
    keys = []
    for name in only or (*CATALOGUE, *MIXTURES):
        faulty = any(CATALOGUE[part].rule for part in parts(name))
        keys += [(name, seed) for seed in seeds or range(1, 1 + (FAULT_SEEDS if faulty else INNOCENT_SEEDS))]
    return sorted(keys, key=lambda key: key[1])


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path, help="where results.jsonl is, or will be")
    parser.add_argument("--only", default="", metavar="NAME,…", help="these scenarios; a+b is a mixture")
    parser.add_argument("--seeds", type=_seeds, metavar="A-B", help="default: 1-20, of the innocent 1-100")
    parser.add_argument("--jobs", type=int, default=3, help="runs at a time")
    parser.add_argument("--keep", action="store_true", help="keep each run's capture in DIR/SCENARIO-SEED")
    parser.add_argument("--again", action="store_true", help="judge what was kept, make no traffic")
    parser.add_argument("--picture", type=Path, help="draw the calibration: docs/images/calibration.png")
    parser.add_argument("--one", metavar="NAME", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments.one, arguments.seeds.start, str(arguments.directory))))
        return 0
    arguments.directory.mkdir(parents=True, exist_ok=True)
    wanted = _wanted([name for name in arguments.only.split(",") if name], arguments.seeds)
    if arguments.again:
        runs = run_again(wanted, arguments.directory, jobs=arguments.jobs)
    else:
        keep = arguments.directory if arguments.keep else None
        runs = run_all(wanted, arguments.directory, jobs=arguments.jobs, keep=keep)
    told = [(f["confidence"], f["rule"] in expected(run)) for run in runs for f in loud(run)]
    print(table(runs), calibration.table(told), sep="\n\n")
    if arguments.picture:
        calibration.draw(told, arguments.picture)
    failed = len(wanted) - len(runs)
    wrong = sum(not is_right(run) for run in runs)
    print(f"\n{len(runs)} runs, {wrong} of them not as the catalogue says, {failed} failed to run.")
    return int(bool(wrong or failed))


if __name__ == "__main__":
    sys.exit(main())
