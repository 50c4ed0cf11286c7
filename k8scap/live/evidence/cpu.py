"""The CPU account of a process's cgroup: whether it was throttled while packets waited.

cgroup v2 keeps it in `cpu.stat` (Documentation/admin-guide/cgroup-v2.rst), v1 in the cpu hierarchy's
`cpu.stat` (Documentation/scheduler/sched-bwc.rst, nanoseconds) and in `cpuacct.usage` (nanoseconds). Both
come out under v2's names: `cpu.nr_periods`, `cpu.nr_throttled`, `cpu.throttled_usec`, `cpu.usage_usec`.
"""

from __future__ import annotations

from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_NAMES = ("nr_periods", "nr_throttled", "throttled_usec", "usage_usec", "user_usec", "system_usec")


def files(pid: int, *, proc: Path = Path("/proc"), mounts: Path = _MOUNTS) -> tuple[Path, ...]:
    """Where the account of `pid`'s cgroup stands; raises OSError saying why it cannot be found."""
    mounted = _hierarchies(mounts.read_text(encoding="utf-8"))
    found = []
    for line in (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller, name in (("cpu", "cpu.stat"), ("cpuacct", "cpuacct.usage")):
            if controller in controllers.split(",") and controller in mounted:
                found.append(_inside(mounted[controller], path) / name)
        if controllers == "" and "" in mounted:
            found.append(_inside(mounted[""], path) / "cpu.stat")
    # Where both versions are mounted, the cpu controller is in v1's tree, and v2's account lacks throttling.
    first_version = [path for path in found if not path.is_relative_to(mounted.get("", ("/-", ""))[0])]
    chosen = first_version or found
    if not chosen:
        raise FileNotFoundError(f"no cgroup of process {pid} has a CPU account")
    return tuple(chosen)


def _hierarchies(mountinfo: str) -> dict[str, tuple[str, str]]:
    """Controller ("" for v2) → where it is mounted, and which of its folders the mount shows (proc(5))."""
    found: dict[str, tuple[str, str]] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        root, place = left.split()[3:5]
        kind, _, options = right.split(" ", 2)
        controllers = options.split(",") if kind == "cgroup" else [""] if kind == "cgroup2" else []
        for controller in controllers:
            found.setdefault(controller, (place, root))
    return found


def _inside(mounted: tuple[str, str], path: str) -> Path:
    place, root = mounted
    if ".." in path.split("/") or not Path(path).is_relative_to(root):
        raise FileNotFoundError("the target's cgroup is not among those that are mounted here")
    return Path(place) / Path(path).relative_to(root)


def counters(path: Path, text: str) -> dict[str, int]:
    """What a file of `files` says, in microseconds."""
    if path.name == "cpuacct.usage":
        return {"cpu.usage_usec": int(text) // 1000}
    values = {name: int(value) for name, _, value in (line.partition(" ") for line in text.splitlines())}
    if "throttled_time" in values:
        values["throttled_usec"] = values["throttled_time"] // 1000
    return {f"cpu.{name}": values[name] for name in _NAMES if name in values}
