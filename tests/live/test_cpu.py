"""Where a cgroup's CPU account stands, on kinds of nodes that this machine is not."""

from pathlib import Path

import pytest

from k8scap.live.evidence import cpu

TREES = Path(__file__).parent.parent / "data" / "proc"
V1 = """\
25 18 0:22 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
28 25 0:25 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,relatime shared:11 - cgroup cgroup rw,cpu,cpuacct
29 25 0:26 / /sys/fs/cgroup/memory rw,nosuid,relatime shared:12 - cgroup cgroup rw,memory
"""
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = V1 + "27 25 0:24 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw\n"
IN_A_CONTAINER = "30 23 0:26 /docker/{0} /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n"

WEB_V1 = "9371cf599d9c82137822dd5e2c8f26940db36f224bae3a1c3628306df1b39476"
WEB_V2 = "9d65c9de2642547a59d44b6418ba4ca962ad9f2cd7c72e859535739cb1fd85dc"
IN_V1 = {
    f"/sys/fs/cgroup/cpu,cpuacct/docker/{WEB_V1}/cpu.stat",
    f"/sys/fs/cgroup/cpu,cpuacct/docker/{WEB_V1}/cpuacct.usage",
}


@pytest.mark.parametrize(
    ("tree", "pid", "mountinfo", "expected"),
    [
        ("v1-cgroupfs-docker", 4431, V1, IN_V1),
        ("v1-cgroupfs-docker", 4431, HYBRID, IN_V1),
        (
            "v1-cgroupfs-docker",
            4431,
            IN_A_CONTAINER.format(WEB_V1),
            {"/sys/fs/cgroup/cpu/cpu.stat", "/sys/fs/cgroup/cpu/cpuacct.usage"},
        ),
        ("v2-systemd-docker", 2201, V2, {f"/sys/fs/cgroup/system.slice/docker-{WEB_V2}.scope/cpu.stat"}),
    ],
)
def test_where_the_account_stands(tmp_path, tree, pid, mountinfo, expected):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(mountinfo)
    assert {str(path) for path in cpu.files(pid, proc=TREES / tree, mounts=mounts)} == expected


@pytest.mark.parametrize(
    ("tree", "pid", "mountinfo", "why"),
    [
        ("v2-own-cgroup-namespace", 3110, V2, "not among those that are mounted"),
        ("v1-cgroupfs-docker", 5120, IN_A_CONTAINER.format(WEB_V1), "not among those that are mounted"),
        ("v1-cgroupfs-docker", 4431, "", "no cgroup of process 4431 has a CPU account"),
    ],
)
def test_an_account_that_cannot_be_seen_from_here(tmp_path, tree, pid, mountinfo, why):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(mountinfo)
    with pytest.raises(FileNotFoundError, match=why):
        cpu.files(pid, proc=TREES / tree, mounts=mounts)


def test_both_versions_tell_the_same_in_microseconds():
    second = "usage_usec 8123456\nuser_usec 8000000\nsystem_usec 123456\nnr_periods 40\nnr_throttled 31\n"
    second += "throttled_usec 2500000\nnr_bursts 0\nburst_usec 0\n"
    assert cpu.counters(Path("cpu.stat"), second) == {
        "cpu.usage_usec": 8123456,
        "cpu.user_usec": 8000000,
        "cpu.system_usec": 123456,
        "cpu.nr_periods": 40,
        "cpu.nr_throttled": 31,
        "cpu.throttled_usec": 2500000,
    }
    first = "nr_periods 40\nnr_throttled 31\nthrottled_time 2500000000\n"
    assert cpu.counters(Path("cpu.stat"), first) == {
        "cpu.nr_periods": 40,
        "cpu.nr_throttled": 31,
        "cpu.throttled_usec": 2500000,
    }
    assert cpu.counters(Path("cpuacct.usage"), "8123456789\n") == {"cpu.usage_usec": 8123456}
