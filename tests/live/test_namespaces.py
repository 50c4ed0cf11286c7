"""k8scap netns: what `ip` and `ls -l /proc/PID/ns` say of a target, in one place."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from k8scap.errors import TargetNotFoundError, ToolMissingError
from k8scap.live.namespaces import describe


@pytest.fixture
def wired(namespace):
    """A namespace with one end of a veth pair, addresses and default routes; and the other end's name."""
    here = f"k{namespace.name[-8:]}"
    subprocess.run(
        ["ip", "link", "add", here, "type", "veth", "peer", "name", "eth0", "netns", namespace.name],
        check=True,
    )
    subprocess.run(["ip", "link", "set", here, "up"], check=True)
    for words in (
        "link set eth0 mtu 1400 up",
        "addr add 198.18.7.2/24 dev eth0",
        "addr add 2001:2:0:7::2/64 dev eth0 nodad",
        "route add default via 198.18.7.1",
        "route add default via 2001:2:0:7::1",
    ):
        namespace.run("ip", *words.split())
    yield namespace, here
    subprocess.run(["ip", "link", "delete", here], check=False, capture_output=True)


def wait_for_name(pid, name):
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/comm").read_text() != f"{name}\n":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_interfaces_addresses_and_the_other_end(wired):
    namespace, here = wired
    found = describe(f"netns/{namespace.name}")
    loopback, wire = found.interfaces
    assert (loopback.name, loopback.state, loopback.addresses[0]) == ("lo", "UP", "127.0.0.1/8")
    assert (wire.name, wire.kind, wire.state, wire.mtu) == ("eth0", "veth", "UP", 1400)
    assert {"198.18.7.2/24", "2001:2:0:7::2/64"} <= set(wire.addresses)
    assert wire.mac == namespace.run("cat", "/sys/class/net/eth0/address").stdout.strip()
    assert wire.peer_index == int(Path(f"/sys/class/net/{here}/ifindex").read_text())
    assert wire.peer == here
    routes = [(route.gateway, route.interface) for route in found.default_routes]
    assert routes == [("198.18.7.1", "eth0"), ("2001:2:0:7::1", "eth0")]


def test_the_namespaces_of_a_process(namespace):
    process = namespace.start("unshare", "--uts", "sleep", "1000")
    wait_for_name(process.pid, "sleep")
    found = describe(f"pid/{process.pid}")
    kernel = {
        link.name: str(Path(f"/proc/{process.pid}/ns/{link.name}").readlink()) for link in found.namespaces
    }
    assert kernel == {link.name: f"{link.name}:[{link.inode}]" for link in found.namespaces}
    assert {link.name for link in found.namespaces} >= {"net", "mnt", "pid", "uts", "ipc", "user", "cgroup"}
    assert {link.name for link in found.namespaces if link.differs} == {"net", "uts"}
    assert (found.pid, found.process) == (process.pid, "sleep")


def test_our_own_network_is_told_to_be_ours():
    namespaces = describe(f"pid/{os.getpid()}").namespaces
    assert not any(link.differs for link in namespaces)


def test_the_text_and_the_dictionary_tell_the_same(wired):
    namespace, here = wired
    found = describe(f"netns/{namespace.name}")
    told = json.loads(json.dumps(found.to_dict()))
    assert told["interfaces"][1]["addresses"] == list(found.interfaces[1].addresses)
    text = found.text()
    assert text.startswith(f"netns/{namespace.name}\n")
    for word in ("198.18.7.2/24", "2001:2:0:7::2/64", "mtu 1400", f"other end: {here}", "its own"):
        assert word in text
    assert "default route  via 198.18.7.1 dev eth0" in text


def test_a_namespace_with_nothing_but_loopback(namespace):
    assert describe(f"netns/{namespace.name}").text().endswith("default route  none")


def test_a_container(run_container):
    container = run_container("described")
    found = describe(f"docker/{container.name}")
    network = next(iter(container.attrs["NetworkSettings"]["Networks"].values()))
    assert (found.pid, found.container_id) == (container.attrs["State"]["Pid"], container.id)
    assert (found.container, found.process) == (container.name, "sleep")
    wire = next(interface for interface in found.interfaces if interface.name == "eth0")
    assert (wire.mac, wire.addresses[0]) == (network["MacAddress"], f"{network['IPAddress']}/24")
    assert found.default_routes[0].gateway == network["Gateway"]
    assert Path("/sys/class/net", wire.peer, "ifindex").read_text() == f"{wire.peer_index}\n"
    assert f"container  {container.name} ({container.id[:12]}), image k8scap-busybox" in found.text()


def test_a_process_that_calls_itself_something_no_terminal_should_obey(namespace):
    process = namespace.start(
        "python3", "-c", "open('/proc/self/comm', 'w').write('\\x1b[2Jx')\ninput()", stdin=-1
    )
    wait_for_name(process.pid, "\x1b[2Jx")
    assert "\x1b" not in describe(f"pid/{process.pid}").text()
    process.stdin.close()


def test_what_is_not_there_or_missing(namespace, monkeypatch):
    with pytest.raises(TargetNotFoundError):
        describe("netns/k8scap-nobody-made-this")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolMissingError):
        describe(f"netns/{namespace.name}")
    monkeypatch.undo()
