"""The main job on a real Docker engine: a container's traffic, by its name, and its server's own log."""

import json
import re
import subprocess
import sys
import time

import pytest

import k8scap
from k8scap.errors import TargetError, TargetNotFoundError, TargetNotRunningError
from k8scap.live import containers

SERVE = ("/bin/httpd", "-f", "-vv", "-p", "80", "-h", "/www")
PATHS = ["/small", "/large", "/small", "/missing", "/large", "/small"]
ASK_IN = """
import docker, sys
client = docker.from_env().containers.get(sys.argv[1])
client.exec_run(["/bin/wget", "-q", "-O", "/dev/null", sys.argv[2]])
"""
SERVICE = "com.docker.compose.service"


@pytest.fixture
def web(run_container):
    """A web server that logs each request, and waits for none: (container, address)."""
    container = run_container("web", *SERVE)
    return container, address_of(container)


@pytest.fixture
def client(run_container):
    return run_container("client")


def address_of(container):
    return next(iter(container.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]


def gateway_of(container):
    return next(iter(container.attrs["NetworkSettings"]["Networks"].values()))["Gateway"]


def ask(client, address, paths):
    for path in paths:
        client.exec_run(["/bin/wget", "-q", "-O", "/dev/null", f"http://{address}{path}"])


def served(container):
    """The paths and the status codes in the server's own log, in its order."""
    log = container.logs().decode()
    return re.findall(r"url:(\S+)", log), [int(code) for code in re.findall(r"response:(\d+)", log)]


def tshark(file, display_filter, *fields):
    # A client that has its 404 resets at once, mostly after the server's FIN, now and then before it:
    # a tshark that waits for the body's end then shows no answer.
    options = ["-o", "http.desegment_body:FALSE", *(word for field in fields for word in ("-e", field))]
    done = subprocess.run(
        ["tshark", "-n", "-r", str(file), "-Y", display_filter, "-T", "fields", *options],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


def records(file):
    done = subprocess.run(["tcpdump", "-nn", "-r", str(file)], check=True, capture_output=True)
    return len(done.stdout.splitlines())


# ---- the main job ----


def test_the_requests_that_the_server_logged_are_in_the_capture(web, client, tmp_path):
    server, address = web
    live = k8scap.watch(f"docker/{server.name}", filter="tcp port 80", seconds=60, output=tmp_path)
    ask(client, address, PATHS)
    cap = live.stop()
    (file,) = live.files

    logged_paths, logged_codes = served(server)
    assert logged_paths == PATHS
    assert tshark(file, "http.request", "http.request.uri") == logged_paths
    assert [int(code) for code in tshark(file, "http.response", "http.response.code")] == logged_codes

    talks = cap.conversations.query("protocol == 'TCP'")
    assert len(talks) == len(logged_paths)
    assert set(talks["src"]) == {address_of(client)}
    assert set(talks["dst"]) == {address}
    assert set(talks["dst_port"]) == {80}


def test_nothing_is_missing_and_the_manifest_says_who_and_where(web, client, docker_network, tmp_path):
    server, address = web
    live = k8scap.watch(
        f"docker/{server.name}", filter="tcp port 80", exact_filter=True, seconds=60, output=tmp_path
    )
    ask(client, address, PATHS)
    time.sleep(0.5)  # nothing is under way any more when it is stopped
    manifest = live.stop().manifest
    (file,) = live.files

    assert manifest.counters.dropped == 0
    assert manifest.counters.captured == manifest.counters.on_disk == records(file)
    assert manifest.counters.complete
    assert manifest.state == "complete"

    assert manifest.target["pid"] == server.attrs["State"]["Pid"]
    assert manifest.target["container_id"] == server.id
    assert manifest.target["container_name"] == server.name
    assert manifest.target["image"] == server.attrs["Config"]["Image"]
    who = {entry.address: entry.name for entry in manifest.names}
    assert who[address] == server.name
    assert who[address_of(client)] == client.name
    assert who[gateway_of(server)] == f"{docker_network.name}-gateway"

    on_disk = json.loads(file.with_suffix(".json").read_text())
    assert on_disk["counters"]["on_disk"] == records(file)
    started, ended = on_disk["evidence"]["start"], on_disk["evidence"]["end"]
    assert ended["Tcp.PassiveOpens"] - started["Tcp.PassiveOpens"] == len(served(server)[0])
    assert "cpu" not in on_disk["evidence"]["unavailable"]


def test_the_names_stand_in_the_capture(web, client, tmp_path):
    server, address = web
    with k8scap.watch(f"docker/{server.name}", filter="tcp port 80", output=tmp_path) as live:
        ask(client, address, ["/small"])
        cap = live.stop()
    assert cap.names.of(address) == server.name
    assert cap.names.of(address_of(client)) == client.name


@pytest.mark.parametrize(
    "spelled", ["docker/{name}", "docker/{short}", "container/{id}", "container/{short}", "pid/{pid}"]
)
def test_every_way_to_name_a_container_captures_the_same(web, client, tmp_path, spelled):
    server, address = web
    words = {
        "name": server.name,
        "id": server.id,
        "short": server.short_id,
        "pid": server.attrs["State"]["Pid"],
    }
    target = spelled.format(**words)
    cap = k8scap.capture(
        target,
        filter="tcp port 80",
        exact_filter=True,
        seconds=30,
        command=[sys.executable, "-c", ASK_IN, client.id, f"http://{address}/large"],
        output=tmp_path,
    )
    assert cap.manifest.target["pid"] == server.attrs["State"]["Pid"]
    assert cap.manifest.ended_by == "command"
    (file,) = [tmp_path / kept.name for kept in cap.manifest.files]
    assert tshark(file, "http.request", "http.request.uri") == ["/large"]
    assert cap.manifest.counters.complete


# ---- which container is meant ----


def test_a_compose_service_by_its_name(run_container):
    database = run_container("shop-db-1", labels={SERVICE: "db"})
    found = containers.find_docker("db")
    assert (found.pid, found.name) == (database.attrs["State"]["Pid"], database.name)


def test_a_service_of_several_replicas(run_container):
    replicas = [run_container(f"shop-cart-{n}", labels={SERVICE: "cart"}) for n in (1, 2)]
    with pytest.raises(TargetError, match="cart stands for 2 running containers") as caught:
        containers.find_docker("cart")
    assert all(replica.name in caught.value.message for replica in replicas)
    assert caught.value.next_step == f"k8scap capture docker/{replicas[0].name}"
    replicas[0].kill()
    assert containers.find_docker("cart").name == replicas[1].name


def test_an_unknown_name_and_what_is_like_it(web, tmp_path):
    server, _ = web
    misspelt = server.name.replace("web", "wbe")
    with pytest.raises(TargetNotFoundError) as caught:
        k8scap.capture(f"docker/{misspelt}", output=tmp_path)
    assert server.name in caught.value.message
    assert caught.value.next_step == "docker ps --all"
    assert list(tmp_path.iterdir()) == []


def test_the_beginning_of_a_name_is_a_hint_not_a_choice(web):
    server, _ = web
    with pytest.raises(TargetNotFoundError, match=f"there is {server.name}"):
        containers.find_docker("web")


def test_a_stopped_container(web, tmp_path):
    server, _ = web
    server.kill()
    with pytest.raises(TargetNotRunningError, match="exited") as caught:
        k8scap.capture(f"docker/{server.name}", output=tmp_path)
    assert caught.value.next_step == f"docker start {server.name}"
    assert list(tmp_path.iterdir()) == []


def test_a_paused_container_says_so(web):
    server, _ = web
    server.pause()
    try:
        found = containers.find_docker(server.name)
    finally:
        server.unpause()
    assert found.pid == server.attrs["State"]["Pid"]
    assert any("is paused" in note for note in found.notes)


def test_a_container_in_the_hosts_network_says_so(run_container, tmp_path):
    container = run_container("hosted", network_mode="host")
    cap = k8scap.capture(
        f"docker/{container.name}", seconds=0.5, filter="udp port 9", interface="lo", output=tmp_path
    )
    assert any("shares the node's" in note for note in cap.manifest.notes)
    assert any("shares the node's" in note for note in containers.find_by_id(container.id).notes)


def test_a_container_in_anothers_network(web, client, run_container, tmp_path):
    server, address = web
    sidecar = run_container("sidecar", network_mode=f"container:{server.id}")
    found = containers.find_docker(sidecar.name)
    assert found.pid == sidecar.attrs["State"]["Pid"]
    assert {entry.address: entry.name for entry in found.names}[address] == server.name
    with k8scap.watch(f"docker/{sidecar.name}", filter="tcp port 80", output=tmp_path) as live:
        ask(client, address, ["/small"])
    assert tshark(live.files[0], "http.request", "http.request.uri") == ["/small"]


def test_a_container_that_ends_meanwhile_ends_the_capture(web, client, tmp_path):
    server, address = web
    live = k8scap.watch(f"docker/{server.name}", filter="tcp port 80", seconds=60, output=tmp_path)
    ask(client, address, ["/small"])
    time.sleep(1.3)  # the kernel hands packets over within a second, and its interface goes with a container
    server.kill()
    started = time.monotonic()
    assert live.wait(15)
    assert time.monotonic() - started < 10
    manifest = live.stop().manifest
    assert manifest.ended_by == "target-gone"
    assert tshark(live.files[0], "http.request", "http.request.uri") == ["/small"]


def test_what_the_kernel_took_with_a_container_is_not_called_complete(web, client, tmp_path):
    server, address = web
    live = k8scap.watch(f"docker/{server.name}", filter="tcp port 80", seconds=60, output=tmp_path)
    ask(client, address, ["/small"])
    server.kill()
    assert live.wait(15)
    manifest = live.stop().manifest
    kept = len(tshark(live.files[0], "frame", "frame.number"))
    assert kept == manifest.counters.on_disk
    assert (manifest.state == "complete") == (manifest.counters.received == kept)
    assert any("went with the interface" in note for note in manifest.notes) == (
        kept < manifest.counters.received
    )
