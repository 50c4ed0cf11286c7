"""Runs of the lab that several tests look at, and tshark's independent view of them."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from k8scap import lab


class Run:
    """One run: what k8scap made of it, what the link wrote down, what tshark sees."""

    def __init__(self, scenario, *, directory, seed=1, plan=()):
        self.name = f"{scenario}-{seed}"
        self.directory = Path(directory)
        self.capture = lab.run(scenario, seed=seed, directory=directory, name=self.name, plan=plan)
        self.pcap = self.directory / f"{self.name}.pcap"
        self.truth = json.loads((self.directory / f"{self.name}.truth.json").read_text())
        self.log = self.truth["packets"]

    def tshark(self, *fields, where="", prefer=()):
        """One tuple of strings a frame, straight from tshark, with preferences of its own."""
        argv = ["tshark", "-n", "-r", str(self.pcap), "-T", "fields", "-o", "tcp.desegment_tcp_streams:FALSE"]
        argv += [word for field in fields for word in ("-e", field)]
        argv += [word for preference in prefer for word in ("-o", preference)]
        argv += ["-Y", where] if where else []
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        return [tuple(line.split("\t")) for line in done.stdout.splitlines()]

    def jobs(self, kind):
        return [job for job in self.truth["hosts"]["client"]["jobs"] if job["job"] == kind]

    def served(self, service):
        return [row for row in self.truth["hosts"]["server"]["services"] if row["service"] == service]

    def connection(self, *, port, nth, to):
        """The log's packets of one direction of the nth connection to a port."""
        return [
            row
            for row in self.log
            if (row.get("nth"), row.get("direction")) == (nth, f"to-{to}")
            and port in (row.get("src_port"), row.get("dst_port"))
        ]


class Runs:
    """Each run once for all tests that ask for it; two at a time, as most of a run is waiting."""

    def __init__(self, folder, pool):
        self._folder = folder
        self._pool = pool
        self._begun = {}

    def begin(self, scenario, *, seed=1, plan=()):
        key = (scenario, seed, plan)
        if key not in self._begun:
            folder = self._folder / f"{len(self._begun)}"
            self._begun[key] = self._pool.submit(Run, scenario, directory=folder, seed=seed, plan=plan)
        return self._begun[key]

    def __call__(self, scenario, *, seed=1, plan=()):
        return self.begin(scenario, seed=seed, plan=plan).result()


@pytest.fixture(scope="package")
def run(tmp_path_factory):
    pool = ThreadPoolExecutor(2)
    yield Runs(tmp_path_factory.mktemp("lab"), pool)
    pool.shutdown(cancel_futures=True)
