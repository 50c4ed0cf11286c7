"""The captures of a run: at one host, or at several at once as points of one capture."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8scap import live
from k8scap.model import CaptureManifest, NameEntry
from k8scap.recording import manifest_path, read_manifest, recording_name, write_manifest

if TYPE_CHECKING:
    from k8scap.lab.network import Network
    from k8scap.lab.scenarios import Scenario
    from k8scap.live import LiveCapture
    from k8scap.model import Manifest

AND = "+"
"""Joins the hosts that a scenario is captured at: client+server."""

_LONGEST = 60.0  # seconds; no scenario takes half of that
_APART = 0.6  # seconds before and after: what is then lost lies well inside of both recordings


class Recordings:
    """Captures that run, one a host of the scenario's `captured`."""

    def __init__(self, scenario: Scenario, network: Network, *, directory: Path, name: str) -> None:
        hosts = scenario.captured.split(AND)
        self._scenario = scenario
        self._together = len(hosts) > 1
        self._path = _free(directory, name) if self._together else directory / f"{name}.json"
        self._running: dict[str, LiveCapture] = {}
        try:
            for host in hosts:
                self._running[host] = live.watch(
                    f"pid/{network.pid(host)}",
                    interface=scenario.interface,
                    seconds=_LONGEST,
                    output=directory,
                    name=f"{self._path.stem}.{host}" if self._together else name,
                )
        except BaseException:
            for capture in self._running.values():
                capture.stop()
            raise
        time.sleep(_APART if self._together else 0)

    def stop(self) -> Path:
        """End them; the pcap, or the manifest over all where there are several."""
        time.sleep(_APART if self._together else 0)
        stopped = {host: capture.stop() for host, capture in self._running.items()}
        pcaps = {host: Path(capture.recordings[0].files[0]) for host, capture in stopped.items()}
        manifests = [self._name_addresses(host, pcap) for host, pcap in pcaps.items()]
        if not self._together:
            return next(iter(pcaps.values()))  # not NAME.pcap where that was there already
        self._write_over_all([manifest for manifest in manifests if manifest])
        return self._path

    def _name_addresses(self, host: str, pcap: Path) -> Manifest | None:
        path = manifest_path(pcap)
        manifest = read_manifest(path)
        if manifest is None:
            return None
        hosts = (NameEntry(address=each.address, name=each.name) for each in self._scenario.hosts)
        named = replace(manifest, names=(*self._scenario.names, *hosts))
        if self._together:
            named = replace(named, name=recording_name(pcap), point=host, capture=self._path.name)
        write_manifest(path, named)
        return named

    def _write_over_all(self, manifests: list[Manifest]) -> None:
        over_all = CaptureManifest(
            name=self._path.stem,
            started=min((m.started for m in manifests if m.started), default=None),
            ended=max((m.ended for m in manifests if m.ended), default=None),
            state="complete" if all(m.state == "complete" for m in manifests) else "incomplete",
            ended_by="stopped",
            recordings=tuple(map(_entry, manifests)),
        )
        write_manifest(self._path, over_all)


def _entry(manifest: Manifest) -> dict[str, Any]:
    told = manifest.to_dict()
    return {key: told[key] for key in ("name", "point", "state", "ended_by", "files", "counters")}


def _free(directory: Path, name: str) -> Path:
    """The manifest over all under the first of NAME, NAME-2 … that nobody has."""
    path, count = directory / f"{name}.json", 1
    while path.exists():
        count += 1
        path = directory / f"{name}-{count}.json"
    return path
