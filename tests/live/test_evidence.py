"""The host's evidence, against the kernel: what nstat, ip, conntrack and the engine say themselves."""

import json
import sys
import time

import pytest

from k8scap.errors import ToolMissingError
from k8scap.live import evidence
from k8scap.live.netns import Namespace
from k8scap.runner import LocalRunner

ACCEPT_NONE = """
import socket, time
server = socket.create_server(("127.0.0.1", 5000), backlog=1)
clients = [socket.socket() for _ in range(8)]
for client in clients:
    client.setblocking(False)
    client.connect_ex(("127.0.0.1", 5000))
print("connected", flush=True)
time.sleep(30)
"""
TRANSFER = """
import socket, threading
server = socket.create_server(("127.0.0.1", 5001))
def read():
    connection, _ = server.accept()
    while connection.recv(1 << 16): pass
reader = threading.Thread(target=read)
reader.start()
with socket.create_connection(("127.0.0.1", 5001)) as client:
    for _ in range(200): client.sendall(bytes(20000))
reader.join()
"""
DATAGRAMS = """
import socket
reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
reader.bind(("127.0.0.1", 5002))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(37):
    sender.sendto(b"x", ("127.0.0.1", 5002))
    reader.recv(1)
"""
MANY = """
import resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
server = socket.create_server(("127.0.0.1", 5003), backlog=4096)
pairs = []
for _ in range(2600):
    client = socket.create_connection(("127.0.0.1", 5003))
    pairs.append((client, server.accept()))
print("connected", flush=True)
time.sleep(60)
"""


@pytest.fixture
def sampler(namespace):
    """Makes samplers for the test's namespace; each has a process there whose /proc it reads."""
    opened = []

    def make(*, runner=None, interval=0.1, target_pid=None):
        inside = namespace.start("sleep", "1000")
        handle = Namespace.open(path=namespace.path)
        opened.append(handle)
        made = evidence.Sampler(
            pid=inside.pid,
            namespace=handle,
            target_pid=target_pid,
            runner=runner or LocalRunner(),
            interval=interval,
        )
        made.process = inside
        return made

    yield make
    for handle in opened:
        handle.close()


def nstat(namespace):
    """The kernel's counters as iproute2 reads them, since the namespace was made."""
    return json.loads(namespace.run("nstat", "-asz", "--json").stdout)["kernel"]


def replayed(told):
    """What `start` and all samples add up to."""
    values = dict(told["start"])
    for sample in told["samples"]:
        values.update(sample)
    return values


def test_datagrams_are_counted_one_by_one(namespace, sampler):
    sampling = sampler()
    sampling.start()
    namespace.run(sys.executable, "-c", DATAGRAMS)
    told = sampling.stop()
    assert evidence.delta(told, "Udp.OutDatagrams") == 37
    assert evidence.delta(told, "Udp.InDatagrams") == 37
    assert evidence.delta(told, "dev.lo.tx_packets") == 37
    link = json.loads(namespace.run("ip", "-j", "-s", "link", "show", "lo").stdout)[0]["stats64"]
    assert told["end"]["dev.lo.rx_bytes"] == link["rx"]["bytes"]


def test_an_accept_queue_that_overflows(namespace, sampler):
    sampling = sampler()
    sampling.start()
    server = namespace.start(sys.executable, "-c", ACCEPT_NONE, stdout=-1)
    assert server.stdout.readline() == b"connected\n"
    time.sleep(0.3)
    told = sampling.stop()
    overflows = evidence.delta(told, "TcpExt.ListenOverflows")
    assert overflows > 0
    assert overflows <= nstat(namespace)["TcpExtListenOverflows"]
    listening = [socket for socket in told["end"]["sockets"] if socket["state"] == "LISTEN"]
    assert [(s["local"], s["recv_q"], s["send_q"]) for s in listening] == [("127.0.0.1:5000", 2, 1)]
    assert told["end"]["sockets.accept_queues_full"] == 1
    assert told["start"]["sockets.LISTEN"] == 0
    assert told["end"]["sockets.SYN-SENT"] == 6


def test_segments_that_the_kernel_sent_again(namespace, sampler):
    rule = ["INPUT", "-p", "tcp", "--dport", "5001", "-m", "statistic", "--mode", "nth", "--every", "40"]
    namespace.run("iptables", "-A", *rule, "--packet", "20", "-j", "DROP")
    sampling = sampler()
    sampling.start()
    namespace.run(sys.executable, "-c", TRANSFER)
    told = sampling.stop()
    assert evidence.delta(told, "Tcp.RetransSegs") == nstat(namespace)["TcpRetransSegs"] > 0
    assert evidence.delta(told, "Tcp.OutSegs") == nstat(namespace)["TcpOutSegs"]


def test_conntrack_counts_in_the_namespace(namespace, sampler):
    namespace.run("iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
    sampling = sampler()
    sampling.start()
    namespace.run(sys.executable, "-c", DATAGRAMS)
    told = sampling.stop()
    tracked = namespace.run("cat", "/proc/net/nf_conntrack").stdout.splitlines()
    assert told["start"]["conntrack.entries"] == 0
    assert told["end"]["conntrack.entries"] == len(tracked) > 0


def test_a_connection_is_told_with_its_round_trip(namespace, sampler):
    inside = namespace.start(
        sys.executable,
        "-c",
        "import socket, time\n"
        "server = socket.create_server(('127.0.0.1', 5004))\n"
        "client = socket.create_connection(('127.0.0.1', 5004))\n"
        "accepted = server.accept()[0]\n"
        "client.sendall(bytes(1000))\n"
        "print('sent', flush=True)\n"
        "time.sleep(30)",
        stdout=-1,
    )
    assert inside.stdout.readline() == b"sent\n"
    sampling = sampler()
    sampling.start()
    told = sampling.stop()
    sockets = {s["local"]: s for s in told["end"]["sockets"] if s["state"] == "ESTAB"}
    server_side = sockets["127.0.0.1:5004"]
    client_side = sockets[server_side["peer"]]
    assert server_side["recv_q"] == 1000
    assert 0 < client_side["rtt_ms"] < 200
    assert client_side["cwnd"] > 0
    assert told["end"]["sockets.ESTAB"] == 2
    assert told["end"]["sockets.recv_q"] == 1000


def test_samples_hold_what_changed_and_nothing_else(namespace, sampler):
    sampling = sampler()
    sampling.start()
    time.sleep(0.5)
    namespace.run(sys.executable, "-c", DATAGRAMS)
    time.sleep(0.5)
    told = sampling.stop()
    assert {"time"} in [set(sample) for sample in told["samples"]]
    assert 1 <= sum("Udp.OutDatagrams" in sample for sample in told["samples"]) < len(told["samples"])
    assert replayed(told)["Udp.OutDatagrams"] == told["end"]["Udp.OutDatagrams"]
    times = [told["start"]["time"], *(sample["time"] for sample in told["samples"]), told["end"]["time"]]
    assert times == sorted(times)
    assert json.loads(json.dumps(told)) == told


def test_fewer_samples_tell_the_same_story():
    samples = [{"time": str(i), "a": i, **({"b": i} if i % 3 == 0 else {})} for i in range(7)]
    fewer = evidence.thinned(samples)
    assert [sample["time"] for sample in fewer] == ["1", "3", "5", "6"]
    assert replayed({"start": {}, "samples": fewer}) == replayed({"start": {}, "samples": samples})


def test_the_last_account_is_read_though_the_process_has_ended(namespace, sampler):
    sampling = sampler()
    sampling.start()
    namespace.run(sys.executable, "-c", DATAGRAMS)
    sampling.process.kill()
    sampling.process.wait()
    assert evidence.delta(sampling.stop(), "Udp.OutDatagrams") == 37


def test_stopping_twice_tells_the_same(sampler):
    sampling = sampler()
    sampling.start()
    assert sampling.stop() == sampling.stop()


def test_thousands_of_sockets_are_counted_but_not_listed(namespace, sampler):
    many = namespace.start(sys.executable, "-c", MANY, stdout=-1)
    assert many.stdout.readline() == b"connected\n"
    sampling = sampler()
    started = time.monotonic()
    sampling.start()
    told = sampling.stop()
    assert time.monotonic() - started < 1.0
    assert "sockets" not in told["end"]
    assert "too many" in told["unavailable"]["sockets"]
    in_use = namespace.run("awk", "/^TCP:/ {print $3}", "/proc/net/sockstat").stdout
    assert told["end"]["sockstat.TCP.inuse"] == int(in_use) == 5201


# ---- what cannot be read is said ----


class WithoutSs(LocalRunner):
    def run(self, *_, **__):
        raise ToolMissingError("ss")


class Stuck(LocalRunner):
    def run(self, *_, **__):
        raise TimeoutError("ss did not end within 3 s")


class Broken(LocalRunner):
    def run(self, *_, **__):
        raise RuntimeError("a fault of ours")


@pytest.mark.parametrize(
    ("runner", "why"), [(WithoutSs(), "not installed"), (Stuck(), "within 3 s"), (Broken(), "fault of ours")]
)
def test_a_capture_never_suffers_from_its_evidence(namespace, sampler, runner, why):
    sampling = sampler(runner=runner)
    sampling.start()
    namespace.run(sys.executable, "-c", DATAGRAMS)
    told = sampling.stop()
    assert why in told["unavailable"]["sockets"]
    assert evidence.delta(told, "Udp.OutDatagrams") == 37


def test_a_process_of_another_namespace_is_not_believed(new_namespace):
    here, elsewhere = new_namespace(), new_namespace()
    stranger = elsewhere.start("sleep", "1000")
    with Namespace.open(path=here.path) as handle:
        sampling = evidence.Sampler(pid=stranger.pid, namespace=handle, target_pid=None, runner=LocalRunner())
        sampling.start()
        told = sampling.stop()
    assert "is not in the namespace" in told["unavailable"]["network"]
    assert "without a process" in told["unavailable"]["cpu"]
    assert evidence.delta(told, "Udp.OutDatagrams") is None


def test_a_throttled_container(sampler, run_container, docker_engine):
    """A twentieth of a CPU for a process that wants a whole one: the engine's statistics are the witness."""
    spinning = run_container("spin", "/bin/sh", "-c", "while :; do :; done", nano_cpus=50_000_000)

    def by_the_engine():
        stats = docker_engine.api.stats(spinning.id, stream=False, one_shot=True)["cpu_stats"]
        return stats["throttling_data"]["throttled_periods"], stats["cpu_usage"]["total_usage"] // 1000

    sampling = sampler(target_pid=spinning.attrs["State"]["Pid"])
    sampling.start()
    time.sleep(1.0)
    before = by_the_engine()
    told = sampling.stop()
    after = by_the_engine()
    assert before[0] <= told["end"]["cpu.nr_throttled"] <= after[0]
    assert before[1] <= told["end"]["cpu.usage_usec"] <= after[1]
    assert evidence.delta(told, "cpu.nr_throttled") > 0
    assert evidence.delta(told, "cpu.throttled_usec") > 0
