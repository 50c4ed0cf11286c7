"""A TUN device: the namespace's end of the lab's link. Linux: Documentation/networking/tuntap.rst."""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.errors import NotPermittedError, ToolMissingError
from k8scap.runner import LocalRunner

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERFACE = "eth0"  # what a container's first interface is called
MTU = 1500
PREFIX = 15  # 198.18.0.0/15 is set aside for benchmarks (RFC 2544): never a real network
QUEUE = 10_000  # packets; longer than any window the lab's TCP can fill, so that nothing is lost unlogged

_DEVICE = "/dev/net/tun"
_TUNSETIFF = 0x400454CA
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000


def open_tun() -> int:
    """Make `eth0` in this process's network namespace; the file descriptor whose reads are its packets.

    Raises ToolMissingError where the kernel has no TUN devices, NotPermittedError where they are not ours.
    """
    from fcntl import ioctl

    try:
        descriptor = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ToolMissingError(_DEVICE, next_step="modprobe tun") from None
    except PermissionError:
        raise NotPermittedError(
            f"{_DEVICE} is not open to this user.", next_step=f"sudo chmod 666 {_DEVICE}"
        ) from None
    except OSError as error:
        raise ToolMissingError(f"{_DEVICE} ({error.strerror})", next_step="modprobe tun") from None
    try:
        ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", INTERFACE.encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError as error:
        os.close(descriptor)
        raise NotPermittedError(
            f"A TUN device cannot be made here: {error.strerror}.", next_step="run the lab as root."
        ) from None
    return descriptor


def configure(address: str, *, settings: Mapping[str, str] | None = None) -> None:
    """Set `eth0` up with its address, and the sysctls of `settings`, in this process's namespace."""
    set_up_host(settings)
    commands = (
        "link set dev lo up",
        f"link set dev {INTERFACE} mtu {MTU} txqueuelen {QUEUE} up",
        f"address add {address}/{PREFIX} dev {INTERFACE}",
    )
    done = LocalRunner().run(["ip", "-batch", "-"], stdin="\n".join(commands).encode())
    if done.returncode != 0:
        raise NotPermittedError(
            f"The lab's interface cannot be set up: {done.error_text}", next_step="run the lab as root."
        )


def set_up_host(settings: Mapping[str, str] | None) -> None:
    """Set the sysctls of `settings`. The link carries IPv4; router solicitations would only be noise."""
    for name, value in {f"net.ipv6.conf.{INTERFACE}.disable_ipv6": "1", **(settings or {})}.items():
        _set(name, value)


def interface_counters() -> Mapping[str, int]:
    """`eth0`'s packets, drops and errors, by the kernel's count (/proc/net/dev of this namespace)."""
    names = ("bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast")
    for line in Path("/proc/self/net/dev").read_text(encoding="ascii").splitlines():
        interface, _, numbers = line.partition(":")
        if interface.strip() == INTERFACE:
            values = [int(n) for n in numbers.split()]
            return {
                f"{side}_{name}": value
                for side, start in (("received", 0), ("sent", 8))
                for name, value in zip(names[:4], values[start:], strict=False)
            }
    return {}


def _set(name: str, value: str) -> None:
    """Best effort: some kernels have no IPv6, some containers a /proc/sys that cannot be written."""
    with contextlib.suppress(OSError):
        Path("/proc/sys", *name.split(".")).write_text(value, encoding="ascii")
