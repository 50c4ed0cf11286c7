"""doctor: yes or no for each way, why, and what would change it; and the plugin by which kubectl calls us."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import k8scap
from k8scap.cli import main


def checks(found):
    return {check.name: check for check in found.checks}


def test_an_admin_on_the_node_has_every_way(cluster, fresh):
    cluster.add_pod("web", namespace=fresh)

    found = k8scap.doctor("web", namespace=fresh)

    assert found.ways == ("local", "node-pod", "exec", "ephemeral")
    assert "v1.36.2" in checks(found)["cluster"].said
    assert "containerd://" in checks(found)["target"].said
    # nothing was changed by looking
    assert not any(pod["metadata"]["name"].startswith("k8scap") for pod in cluster.all("pods"))


def test_each_no_has_its_reason_and_what_to_type(cluster, fresh, monkeypatch, capsys):
    cluster.add_image("bare:1", ["sleep"])
    cluster.add_pod("web", namespace=fresh, containers={"app": {"image": "bare:1"}})
    user = cluster.add_user("reader")
    name = {"name": f"r-{fresh}"}
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
    reference = {"kind": "ClusterRole", **name}
    subjects = [{"kind": "User", "name": "reader"}]
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": name}
    cluster.apply({**rbac, "kind": "ClusterRole", "rules": rules})
    cluster.apply({**rbac, "kind": "ClusterRoleBinding", "roleRef": reference, "subjects": subjects})
    monkeypatch.setenv("KUBECONFIG", str(user))

    found = k8scap.doctor("web", namespace=fresh)

    assert found.ways == ("local",)
    for way in ("node-pod", "exec", "ephemeral"):
        assert checks(found)[way].ok is False
        assert "You may not" in checks(found)[way].said
        assert checks(found)[way].next_step == f"k8scap doctor --rbac {way} -n {fresh} | kubectl apply -f -"
    main(["doctor", "web", "-n", fresh])
    assert "next: k8scap doctor --rbac exec" in capsys.readouterr().out


def test_pod_security_is_what_the_dry_run_says(cluster, monkeypatch):
    strict = cluster.add_namespace("strict-2", **{"pod-security.kubernetes.io/enforce": "restricted"})
    cluster.add_pod("web", namespace=strict)
    monkeypatch.setenv("K8SCAP_NAMESPACE", strict)

    found = checks(k8scap.doctor("web", namespace=strict))

    assert "PodSecurity" in found["node-pod"].said
    assert "PodSecurity" in found["ephemeral"].said
    assert "restricted" in found["target"].said


def test_without_a_cluster_the_tools_here_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))

    assert main(["doctor"]) == 0
    assert "tcpdump" in capsys.readouterr().out
    assert main(["doctor", "web", "--format", "json"]) == 4
    assert json.loads(capsys.readouterr().out)["ok"] is False


@pytest.mark.parametrize("way", ["node-pod", "exec", "ephemeral", "workloads", "names"])
def test_a_manifest_is_for_the_namespace_and_group_that_are_meant(way, capsys):
    assert main(["doctor", "--rbac", way, "-n", "prod", "--group", "oncall"]) == 0

    objects = list(yaml.safe_load_all(capsys.readouterr().out))
    assert {s["name"] for o in objects for s in o.get("subjects", ())} == {"oncall"}
    assert {o["metadata"].get("namespace") for o in objects} <= {"prod", "k8scap", None}


def test_a_manifest_takes_no_yaml_from_a_name(capsys):
    for words in (["-n", "a: b"], ["-n", "x", "--group", 'a"\nkind: Secret'], ["-n", "--", "x"]):
        with pytest.raises(SystemExit) if words[1] == "--" else pytest.MonkeyPatch.context():
            assert main(["doctor", "--rbac", "exec", *words]) == 2
    assert "Secret" not in capsys.readouterr().out


def test_kubectl_finds_the_plugin():
    plugin = Path(sys.executable).with_name("kubectl-k8scap")
    found = str(plugin) if plugin.exists() else shutil.which("kubectl-k8scap")
    assert found

    done = subprocess.run([found, "--help"], check=True, capture_output=True, text=True)
    assert "usage: kubectl k8scap" in done.stdout
