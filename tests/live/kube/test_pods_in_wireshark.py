"""Pods in Wireshark's own list of interfaces."""

from __future__ import annotations

import subprocess
import sys
import threading


def tshark(*words):
    return subprocess.run(["tshark", "-n", *words], capture_output=True, text=True, check=False, timeout=90)


def test_pods_of_the_context_stand_in_the_list_and_are_captured(cluster, talk, tmp_path, monkeypatch):
    kubeconfig = tmp_path / "config"
    text = cluster.kubeconfig.read_text()
    kubeconfig.write_text(text)
    namespace = f"--namespace={talk.server.namespace}"
    set_namespace = ["kubectl", f"--kubeconfig={kubeconfig}", "config", "set-context", "--current", namespace]
    subprocess.run(set_namespace, check=True, capture_output=True)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("WIRESHARK_CONFIG_DIR", str(tmp_path))
    argv = [sys.executable, "-m", "k8scap", "wireshark", "--install-extcap"]
    subprocess.run(argv, check=True, capture_output=True)

    listed = tshark("-D").stdout
    for pod in ("server", "client"):
        assert f"k8scap-pod-{talk.server.namespace}.{pod} (pod {talk.server.namespace}/{pod})" in listed

    until = threading.Event()
    asking = talk.keep_asking(until)
    name = f"k8scap-pod-{talk.server.namespace}.server"
    shown = tshark("-i", name, "-f", "tcp port 8080", "-c", "4", "-T", "fields", "-e", "ip.addr")
    until.set()
    asking.join()
    both = {talk.server.ip, talk.client.ip}
    assert [set(line.split(",")) for line in shown.stdout.split()] == [both] * 4, shown.stderr
