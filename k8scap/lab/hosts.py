"""A host of the lab: a process in a network namespace without a name, with its address, services and jobs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from k8scap.errors import CaptureBrokenError, K8scapError
from k8scap.lab import failure, quota, tun, veth
from k8scap.lab.kernel import die_with, enter_new_network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.connection import Connection

    from k8scap.lab.overlay import Overlay

_SET_UP = 20.0  # seconds that a host may take to answer
_WORK = 60.0  # seconds that its jobs may take


class Service(Protocol):
    """Listens on an address, in threads of its own, and logs what it served."""

    def start(self, address: str, log: list[dict[str, Any]]) -> None: ...


class Job(Protocol):
    """Something a client does with a host of the given address; logs how it went."""

    def run(self, address: str, log: list[dict[str, Any]]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Host:
    """`workers` run at the same time; each does its jobs (with the address they go to) one by one.

    `settings` are sysctls of the namespace, such as {"net.ipv4.tcp_early_retrans": "0"}. A host with a `node`
    is a pod: it hangs on the host of that name by a veth pair, and reaches the link through it; the pod
    at the other end of that host's `overlay` it reaches through this tunnel.
    """

    name: str
    address: str
    settings: Mapping[str, str] = field(default_factory=dict)
    services: Sequence[Service] = ()
    workers: Sequence[Sequence[tuple[str, Job]]] = ()
    node: str = ""
    overlay: Overlay | None = None


class RunningHost:
    """A host's process, seen from the lab's. Made by fork, before this process has threads.

    `node` is the process of the host that a pod hangs on; that one's device must have been taken.
    """

    def __init__(self, host: Host, *, node: int | None = None) -> None:
        from multiprocessing import Pipe

        self.host = host
        self._talk, theirs = Pipe()
        self._tun, their_tun = socket.socketpair()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            with contextlib.suppress(BaseException):
                die_with(parent)
                _live(host, theirs, their_tun, node)
            os._exit(0)
        theirs.close()
        their_tun.close()

    def take_device(self) -> int:
        """The file descriptor of the host's TUN device. Raises what went wrong in setting it up."""
        self._answer(_SET_UP)
        _, descriptors, _, _ = socket.recv_fds(self._tun, 1, 1)
        self._tun.close()
        return descriptors[0]

    def wait(self) -> None:
        """Wait until a pod is set up. Raises what went wrong."""
        self._answer(_SET_UP)
        self._tun.close()

    def start_services(self) -> None:
        self._talk.send("serve")
        self._answer(_SET_UP)

    def start_work(self) -> None:
        self._talk.send("work")

    def finish_work(self) -> None:
        """Wait until all workers are done."""
        self._answer(_WORK)

    def report(self) -> dict[str, Any]:
        """Its services' and its jobs' own logs, and the interface's counters."""
        self._talk.send("report")
        answer: dict[str, Any] = self._answer(_SET_UP)
        return answer

    def end(self) -> None:
        """End the process, and with it the namespace. Never raises: there may be others to end."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        quota.forget(self.pid)
        self._talk.close()
        self._tun.close()

    def _answer(self, patience: float) -> Any:
        try:
            answer = self._talk.recv() if self._talk.poll(patience) else {"failure": None}
        except EOFError:
            answer = {"failure": None}
        if "failure" not in answer:
            return answer["done"]
        if answer["failure"] is None:
            raise CaptureBrokenError(
                f"The lab's host {self.host.name!r} does not answer.", next_step="run the lab again."
            )
        raise failure.from_plain(answer["failure"])


def _live(host: Host, talk: Connection, tun_socket: socket.socket, node: int | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is the lab's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    logs: dict[str, list[dict[str, Any]]] = {"services": [], "jobs": []}
    try:
        enter_new_network()
        if node is None:
            _hand_over_device(host, tun_socket)
        else:
            veth.hang_on(node, host.address, settings=host.settings)
        tun_socket.close()
        talk.send({"done": None})
        while True:
            talk.send({"done": _obey(talk.recv(), host, logs)})
    except K8scapError as error:
        talk.send({"failure": failure.to_plain(error)})
    except OSError as error:
        sentence = f"The lab's host {host.name!r} cannot work: {error}."
        talk.send({"failure": failure.to_plain(CaptureBrokenError(sentence))})


def _hand_over_device(host: Host, tun_socket: socket.socket) -> None:
    device = tun.open_tun()
    tun.configure(host.address, settings=host.settings)
    if host.overlay:
        host.overlay.set_up()
    socket.send_fds(tun_socket, [b"."], [device])
    os.close(device)


def _obey(order: str, host: Host, logs: dict[str, list[dict[str, Any]]]) -> Any:
    if order == "serve":
        for service in host.services:
            service.start(host.address, logs["services"])
    elif order == "work":
        _work(host, logs["jobs"])
    elif order == "report":
        return {**logs, "interface": tun.interface_counters()}
    return None


def _work(host: Host, log: list[dict[str, Any]]) -> None:
    threads = [threading.Thread(target=_do, args=(jobs, log), daemon=True) for jobs in host.workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _do(jobs: Sequence[tuple[str, Job]], log: list[dict[str, Any]]) -> None:
    for address, job in jobs:
        job.run(address, log)
