"""k8scap in Wireshark's own list of interfaces, against the real tshark."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from k8scap.wireshark.extcap import main
from k8scap.wireshark.sentences import sentence

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import NetworkNamespace

_SEND = """
import socket, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    while True:
        for port in (4000, 4001):
            sender.sendto(b"k8scap", ("127.0.0.1", port))
        time.sleep(0.02)
"""


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration of Wireshark's with the launcher in it, where the command put it by itself."""
    folder = tmp_path / "wireshark"
    folder.mkdir()
    monkeypatch.setenv("WIRESHARK_CONFIG_DIR", str(folder))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    argv = [sys.executable, "-m", "k8scap", "wireshark", "--install-extcap"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == f"{folder / 'extcap' / 'k8scap-extcap'}\n"
    return folder


def tshark(*words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["tshark", "-n", *words], capture_output=True, text=True, check=False, timeout=timeout
    )


def extcap(configuration: Path, *words: str) -> subprocess.CompletedProcess[str]:
    launcher = configuration / "extcap" / "k8scap-extcap"
    return subprocess.run([launcher, *words], capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.root
@pytest.mark.usefixtures("configuration")
def test_a_target_that_is_typed_is_captured_and_nothing_is_left_running(namespace: NetworkNamespace) -> None:
    namespace.start(sys.executable, "-c", _SEND)
    target = f"extcap.k8scap.target:netns/{namespace.name}"
    exact = "extcap.k8scap.exactfilter:true"
    shown = tshark(
        *("-i", "k8scap", "-o", target, "-o", exact, "-f", "udp dst port 4001", "-c", "5"),
        *("-T", "fields", "-e", "ip.dst", "-e", "udp.dstport"),
    )
    assert shown.stdout.splitlines() == ["127.0.0.1\t4001"] * 5
    deadline = time.monotonic() + 5
    while (left := namespace_programs(namespace)) != {"python"} and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == {"python"}  # the sender: tcpdump has ended


def namespace_programs(namespace: NetworkNamespace) -> set[str]:
    pids = subprocess.run(
        ["ip", "netns", "pids", namespace.name], capture_output=True, text=True, check=True
    ).stdout.split()
    argv = ["ps", "-o", "comm=", "-p", ",".join(pids) or "0"]
    names = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split()
    return {"python" if name.startswith("python") else name for name in names}


@pytest.mark.docker
@pytest.mark.usefixtures("configuration")
def test_containers_stand_in_the_list_and_are_captured(run_container: Any, docker_network: Any) -> None:
    gateway = docker_network.attrs["IPAM"]["Config"][0]["Subnet"].replace(".0/24", ".1")
    container = run_container("talker", "/bin/sh", "-c", f"while :; do ping -c 1 {gateway}; sleep 0.1; done")
    name = f"k8scap-docker-{container.name}"
    assert f"{name} (container {container.name})" in tshark("-D").stdout
    shown = tshark("-i", name, "-f", "icmp", "-c", "4", "-T", "fields", "-e", "ip.addr")
    (network,) = container.attrs["NetworkSettings"]["Networks"].values()
    assert [set(line.split(",")) for line in shown.stdout.split()] == [{network["IPAddress"], gateway}] * 4


@pytest.mark.usefixtures("configuration")
def test_what_goes_wrong_is_told_where_wireshark_shows_it() -> None:
    told = tshark("-i", "k8scap", "-o", "extcap.k8scap.target:netns/nope")
    assert "There is no network namespace nope. Next: ip netns list" in told.stderr


def test_a_filter_is_checked_before_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    def said(text: str) -> str:
        assert main(["--extcap-interface", "k8scap", "--extcap-capture-filter", text]) == 0
        return capsys.readouterr().out

    assert said("tcp port 80") == ""
    assert "syntax error" in said("tcp prt 80")
    assert said("-w/tmp/file") != ""


def test_settings_fit_the_interface(capsys: pytest.CaptureFixture[str]) -> None:
    def said(question: str, interface: str) -> str:
        assert main([f"--extcap-{question}", "--extcap-interface", interface]) == 0
        return capsys.readouterr().out

    assert "{call=--target}" in said("config", "k8scap")
    assert "{value=node-pod}" in said("config", "k8scap-pod-shop.web")
    assert "{call=--namespace}" not in said("config", "k8scap-pod-shop.web")
    assert "{call=--via}" not in said("config", "k8scap-docker-web")
    assert "dlt {number=1}" in said("dlts", "k8scap")
    assert main(["--extcap-config", "--extcap-interface", "k8scap-docker-a;b"]) == 2


def test_a_cluster_that_does_not_answer_keeps_wireshark_from_nothing(
    configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        (tmp_path / "config").write_text(
            "{apiVersion: v1, kind: Config, current-context: c, users: [{name: u, user: {token: t}}],"
            f" clusters: [{{name: k, cluster: {{server: 'https://127.0.0.1:{port}'}}}}],"
            " contexts: [{name: c, context: {cluster: k, user: u}}]}"
        )
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        began = time.monotonic()
        told = extcap(configuration, "--extcap-interfaces")
        assert time.monotonic() - began < 4
    assert "interface {value=k8scap}{display=k8scap: a target}" in told.stdout.splitlines()


def test_no_name_can_break_out_of_its_braces() -> None:
    evil = "web}{value=evil}\ninterface {value=worse}"
    told = sentence("interface", value="k8scap", display=evil)
    assert told.count("\n") == 0
    assert (told.count("{"), told.count("}")) == (2, 2)


def test_the_folder_may_be_named_and_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "k8scap", "wireshark", "--install-extcap"]
    done = subprocess.run([*argv, tmp_path / "new"], capture_output=True, text=True, check=True)
    assert os.access(tmp_path / "new" / "k8scap-extcap", os.X_OK)
    assert "start Wireshark anew" in done.stderr
    (tmp_path / "file").touch()
    done = subprocess.run([*argv, tmp_path / "file"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
