"""From a container's name or ID to its process: recorded process trees, and engines that mislead."""

import contextlib
import hashlib
import http.server
import json
import os
import threading
from pathlib import Path

import docker
import pytest

from k8scap.errors import (
    NotPermittedError,
    TargetError,
    TargetNotFoundError,
    TargetNotRunningError,
    TargetSyntaxError,
    ToolMissingError,
    UsageError,
)
from k8scap.live import containers

TREES = Path(__file__).parent.parent / "data" / "proc"
FIRST_PROCESS = [
    ("v1-cgroupfs-docker", "9371cf599d9c82137822dd5e2c8f26940db36f224bae3a1c3628306df1b39476", 4431),
    ("v1-cgroupfs-containerd", "c7761e58969f7edd498186641b2021e8477e1bcd230de4cf3435242da4a40d14", 7105),
    ("v1-containerd-unit", "70bdae49483e37d0af32b9744687346938f38f56e5c3486b4638795180082bbe", 9101),
    ("v1-cgroupfs-crio", "14b75f814f7a1b5ec6cf3888669c13e6864cae2fe20e3b36eeda24c2b1528356", 1612),
    ("v1-cgroupfs-podman", "970244cae738b5e2fc2a70391e2559dfe79aea10f420fb83bacbcd615f76b29a", 1812),
    ("v1-kind-node", "af9bbfb6b42a299bdc4b3e75b596f1d0d44c5d10c518826b9df2b59cf2bfe50b", 2110),
    ("v1-kind-node", "472799b81a3f27a8066c00cca96d3b06cece7798fd4905626a66ce47ad89e032", 2001),
    ("v2-systemd-docker", "9d65c9de2642547a59d44b6418ba4ca962ad9f2cd7c72e859535739cb1fd85dc", 2201),
    ("v2-cgroupfs-docker", "bc2a851e82b30cc5f8ff3a1406d255d2eaa62a57d6bb43e61ba74f3d73bbaf0a", 3301),
    ("v2-systemd-containerd", "995ec4fd27b22045324ee8d14fd93f80883bddea90476a726981cbf8cbb1e3a3", 8044),
    ("v2-systemd-crio", "c64064614423cb790e88b3e5492ff5ccf673b25ae823089f7a60c65cda24d809", 1512),
    ("v2-systemd-podman-rootless", "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9", 1712),
    ("v2-kind-node", "586b82fa71301045c693e4e2f15e994d7068b46bb4650f8d70118b2560bb8bde", 2110),
    ("v2-kind-node", "c44db43da81db4f5c8e2c1f2c540bd996cfe45eb819f1daa8329450916248cf9", 2001),
    ("v2-own-cgroup-namespace", "e97a8ac969e5c9d3b7203431322cfa9dd233672c9fa857c64541cc0f27295c95", 3110),
    ("v2-own-cgroup-namespace", "23a2aec5d7d6f488a9c48dc92036a41540f7943402622cb5bd08cd4da76502b3", 3210),
    ("v2-host-pid-namespace", "79cdc443f4f21e1db34590d988a78edb5e36a842d966a17ff957f0c5663653d0", 4010),
]


# ---- by ID, in /proc ----


@pytest.mark.parametrize(("tree", "container_id", "pid"), FIRST_PROCESS)
def test_a_container_is_found_by_its_id(tree, container_id, pid):
    found = containers.find_by_id(container_id, proc=TREES / tree)
    assert (found.pid, found.container_id) == (pid, container_id)


@pytest.mark.parametrize("prefix", ["", "docker://", "containerd://", "cri-o://"])
def test_an_id_may_be_short_and_bear_its_runtime(prefix):
    found = containers.find_by_id(f"{prefix}c7761e58969f", proc=TREES / "v1-cgroupfs-containerd")
    assert found.pid == 7105
    assert found.container_id == "c7761e58969f7edd498186641b2021e8477e1bcd230de4cf3435242da4a40d14"


@pytest.mark.parametrize("text", ["web", "", "12345", "DEADBEEFDEAD", "../../etc/passwd", "ab" * 33])
def test_what_is_no_id_is_refused(text):
    with pytest.raises(TargetSyntaxError, match="64 hexadecimal digits"):
        containers.find_by_id(text)


def test_an_id_that_no_process_bears():
    with pytest.raises(TargetNotFoundError, match="another machine") as caught:
        containers.find_by_id("ffffffffffff", proc=TREES / "v2-systemd-docker")
    assert "crictl ps" in caught.value.next_step


def test_the_same_beginning_of_two_ids_is_no_choice_to_make_silently():
    with pytest.raises(TargetError, match="2 containers"):
        containers.find_by_id("0123456789ab", proc=TREES / "v2-same-beginning")


def test_a_container_of_which_only_a_zombie_is_left():
    with pytest.raises(TargetNotRunningError, match="ended"):
        containers.find_by_id("e87ba7a0b779", proc=TREES / "v2-ended")


@pytest.mark.parametrize(("inode", "shared"), [(4026531992, True), (4026532501, False)])
def test_a_container_in_the_nodes_network_says_so(tmp_path, inode, shared):
    for pid, number in ((1, 4026531992), (2201, inode)):
        (tmp_path / str(pid) / "ns").mkdir(parents=True)
        (tmp_path / str(pid) / "ns" / "net").symlink_to(f"net:[{number}]")
    for file in ("cgroup", "status", "stat"):
        (tmp_path / "2201" / file).symlink_to(TREES / "v2-systemd-docker" / "2201" / file)
    notes = containers.find_by_id("9d65c9de2642", proc=tmp_path).notes
    assert any("shares the node's" in note for note in notes) == shared


# ---- by name: engines that do not answer, or answer for another machine ----


@contextlib.contextmanager
def an_engine(monkeypatch, *, pid, container_id="ab" * 32, **state):
    """An engine on a TCP port that knows one container, `web`, and says that its process is `pid`."""
    details = {
        "Id": container_id,
        "Name": "/web",
        "State": {"Status": "running", "Pid": pid, **state},
        "Config": {"Image": "busybox"},
        "HostConfig": {"NetworkMode": "none"},
        "NetworkSettings": {"Networks": {}},
    }
    listed = {"Id": container_id, "Names": ["/web"], "Labels": None, "State": details["State"]["Status"]}
    answers = {"/version": {"ApiVersion": "1.41"}, "json": details, "/containers/json": [listed]}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.partition("?")[0]
            known = [path.endswith(end) for end in answers]
            answer = list(answers.values())[max(i for i, yes in enumerate(known) if yes)]
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("pid", [pytest.param(os.getpid(), id="ours"), 1, 2**22 - 1])
def test_a_pid_of_another_machine_is_never_ours(monkeypatch, pid):
    """Our own PID, init's, and one that nobody has: none of them is in the container's cgroup."""
    with (
        an_engine(monkeypatch, pid=pid),
        pytest.raises(TargetNotFoundError, match="engine runs on another machine"),
    ):
        containers.find_docker("web")


def test_an_engine_in_another_pid_namespace(monkeypatch):
    """Its PID 1204 is nobody here, or somebody else; the container's ID in /proc finds the right one."""
    container_id = "9d65c9de2642547a59d44b6418ba4ca962ad9f2cd7c72e859535739cb1fd85dc"
    with an_engine(monkeypatch, pid=1204, container_id=container_id):
        found = containers.find_docker("web", proc=TREES / "v2-systemd-docker")
    assert found.pid == 2201
    assert any("1204" in note and "2201" in note for note in found.notes)


def test_a_short_word_is_no_beginning_of_an_id(monkeypatch):
    """`db` is hexadecimal, too: a container whose ID happens to begin so is not what was asked for."""
    with (
        an_engine(monkeypatch, pid=1, container_id="db" * 32),
        pytest.raises(TargetNotFoundError, match="service db"),
    ):
        containers.find_docker("db")


@pytest.mark.parametrize(
    ("status", "next_step"),
    [
        ("exited", "docker start web"),
        ("created", "docker start web"),
        ("restarting", "docker logs --tail 20 web"),
    ],
)
def test_a_container_without_a_process(monkeypatch, status, next_step):
    with (
        an_engine(monkeypatch, pid=0, Status=status, ExitCode=3),
        pytest.raises(TargetNotRunningError, match=status) as caught,
    ):
        containers.find_docker("web")
    assert caught.value.next_step == next_step


def test_no_engine_answers(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(ToolMissingError) as caught:
        containers.find_docker("web")
    assert (
        caught.value.message
        == f"No Docker engine answers at unix://{tmp_path}/none.sock: No such file or directory."
    )
    assert "systemctl start docker" in caught.value.next_step


def test_an_engine_behind_ssh_is_another_machine(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@build")
    with pytest.raises(TargetNotFoundError, match="another machine") as caught:
        containers.find_docker("web")
    assert caught.value.next_step.startswith("ssh me@build sudo k8scap")


def test_an_address_that_is_none(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "gopher://somewhere")
    with pytest.raises(ToolMissingError, match="gopher://somewhere"):
        containers.find_docker("web")


# ---- the docker command's contexts ----


@pytest.fixture
def contexts(monkeypatch, tmp_path):
    """A folder of the docker command's settings; gives a function that adds a context to it."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    def add(name, host, *, current=True):
        folder = tmp_path / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
        folder.mkdir(parents=True)
        meta = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
        (folder / "meta.json").write_text(json.dumps(meta))
        (tmp_path / "config.json").write_text(json.dumps({"currentContext": name} if current else {}))

    return add


def test_the_current_context_says_where_the_engine_is(contexts, tmp_path):
    contexts("lab", f"unix://{tmp_path}/lab.sock")
    with pytest.raises(ToolMissingError, match=r"lab\.sock"):
        containers.find_docker("web")


def test_docker_context_wins_over_the_current_one(contexts, tmp_path, monkeypatch):
    contexts("lab", f"unix://{tmp_path}/lab.sock", current=False)
    monkeypatch.setenv("DOCKER_CONTEXT", "lab")
    with pytest.raises(ToolMissingError, match=r"lab\.sock"):
        containers.find_docker("web")


def test_docker_host_wins_over_any_context(contexts, tmp_path, monkeypatch):
    contexts("lab", f"unix://{tmp_path}/lab.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/other.sock")
    with pytest.raises(ToolMissingError, match=r"other\.sock"):
        containers.find_docker("web")


def test_a_context_that_is_not_there_is_never_the_local_engine(contexts, tmp_path, monkeypatch):
    contexts("lab", f"unix://{tmp_path}/lab.sock")
    monkeypatch.setenv("DOCKER_CONTEXT", "lba")
    with pytest.raises(UsageError, match="no docker context lba"):
        containers.find_docker("web")


def test_a_broken_context_file(contexts, tmp_path):
    contexts("lab", f"unix://{tmp_path}/lab.sock")
    next(tmp_path.glob("contexts/meta/*/meta.json")).write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        containers.find_docker("web")


def test_an_engine_that_does_not_let_us_in(docker_engine: docker.DockerClient):
    """As an ordinary user, who is not in the group docker."""
    assert docker_engine.ping()
    os.seteuid(65534)
    try:
        with pytest.raises(NotPermittedError) as caught:
            containers.find_docker("web")
    finally:
        os.seteuid(0)
    assert caught.value.next_step.startswith("sudo k8scap")
