"""Hosts and the link between them, all as processes of this lab: up, at work, down."""

from __future__ import annotations

import contextlib
import os
import signal
from ipaddress import IPv4Address
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any, Self

from k8scap.errors import CaptureBrokenError
from k8scap.lab import truth
from k8scap.lab.hosts import RunningHost
from k8scap.lab.kernel import die_with
from k8scap.lab.link import Link, Path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8scap.lab.hosts import Host
    from k8scap.lab.plan import Plan

_PATIENCE = 60.0  # seconds for the link to hand its log over


class Network:
    """A context manager: inside it the hosts are up, their services listen, and packets pass.

    `services` maps the addresses of Services to those of the hosts behind them.

    Enter it before this process starts threads (its processes are forked). Raises NotPermittedError and
    ToolMissingError where namespaces or TUN devices cannot be had.
    """

    def __init__(
        self,
        hosts: Sequence[Host],
        *,
        path: Path,
        plan: Plan,
        services: Mapping[str, str] | None = None,
    ) -> None:
        self._hosts = tuple(hosts)
        self._path = path
        self._plan = plan
        self._services = {_packed(name): _packed(server) for name, server in (services or {}).items()}
        self._running: dict[str, RunningHost] = {}
        self._link: _RunningLink | None = None

    def __enter__(self) -> Self:
        try:
            devices = self._set_up()
            self._link = _RunningLink(self._link_of(devices))
            for descriptor in set(devices.values()):
                os.close(descriptor)
            for running in self._running.values():
                running.start_services()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _link_of(self, devices: Mapping[bytes, int]) -> Link:
        return Link(devices, path=self._path, plan=self._plan, services=self._services)

    def _set_up(self) -> dict[bytes, int]:
        """Start the hosts, and then the pods on them; the device that leads to each address."""
        for host in self._hosts:
            if not host.node:
                self._running[host.name] = RunningHost(host)
        device_of = {name: running.take_device() for name, running in self._running.items()}
        for host in self._hosts:
            if host.node:
                self._running[host.name] = RunningHost(host, node=self.pid(host.node))
                self._running[host.name].wait()
        return {_packed(host.address): device_of[host.node or host.name] for host in self._hosts}

    def __exit__(self, *_: object) -> None:
        for running in self._running.values():
            running.end()
        if self._link is not None:
            self._link.end()

    def pid(self, name: str) -> int:
        """The process that holds a host's namespace: what a capture names as `pid/N`."""
        return self._running[name].pid

    def work(self) -> None:
        """Run all jobs of all hosts to their end."""
        working = [running for running in self._running.values() if running.host.workers]
        for running in working:
            running.start_work()
        for running in working:
            running.finish_work()

    def reports(self) -> Mapping[str, Mapping[str, Any]]:
        """For each host: `services`, `jobs` (their own logs) and `interface` (the kernel's counters)."""
        return {name: running.report() for name, running in self._running.items()}

    def stop_link(self) -> list[dict[str, Any]]:
        """Cut the link; its log as rows, see `truth.rows`."""
        if self._link is None:
            raise RuntimeError("the network is not up")
        return self._link.stop()


def _packed(address: str) -> bytes:
    return IPv4Address(address).packed


class _RunningLink:
    """The link's process: one that does nothing else, so that no thread holds a packet up."""

    def __init__(self, link: Link) -> None:
        self._talk, theirs = Pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            with contextlib.suppress(BaseException):
                die_with(parent)
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                link.serve(theirs.fileno())
                theirs.send(truth.rows(link.log))
            os._exit(0)
        theirs.close()

    def stop(self) -> list[dict[str, Any]]:
        self._talk.send("stop")
        try:
            rows: list[dict[str, Any]] | None = self._talk.recv() if self._talk.poll(_PATIENCE) else None
        except EOFError:
            rows = None
        if rows is None:
            raise CaptureBrokenError("The lab's link lost its log.", next_step="run the lab again.")
        return rows

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        self._talk.close()
