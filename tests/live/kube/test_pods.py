"""Pods as a 1.36 API server shows them: which container is entered, and which pods cannot be."""

import pytest

from k8scap.errors import TargetNotFoundError, TargetNotRunningError
from k8scap.live.kube import pods

WEB = "a1" * 32
SIDE = "b2" * 32


def running(name, container_id=WEB):
    state = {"running": {"startedAt": "2026-11-26T09:00:00Z"}}
    return {"name": name, "state": state, "ready": True, "containerID": f"containerd://{container_id}"}


def waiting(name, reason, message="", container_id=""):
    told = {"reason": reason, **({"message": message} if message else {})}
    known = {"containerID": f"containerd://{container_id}"} if container_id else {}
    return {"name": name, "state": {"waiting": told}, "ready": False, **known}


def ended(name, reason="Completed", container_id=SIDE):
    told = {"exitCode": 0, "reason": reason, "containerID": f"containerd://{container_id}"}
    return {"name": name, "state": {"terminated": told}, "containerID": f"containerd://{container_id}"}


def raw(
    *statuses, init=(), phase="Running", annotations=None, sidecars=(), spec=None, status=None, **metadata
):
    inits = [{"name": s["name"], "image": "i"} for s in init]
    for entry in inits:
        if entry["name"] in sidecars:
            entry["restartPolicy"] = "Always"
    return {
        "metadata": {
            "name": "web-7d9f8c6b5d-x2x4z", "namespace": "shop", "uid": "0b7e",
            "annotations": annotations or {},
            "labels": {"app": "web", "pod-template-hash": "7d9f8c6b5d"},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d9f8c6b5d", "controller": True}
            ],
            **metadata,
        },
        "spec": {
            "nodeName": "n1",
            "containers": [
                {"name": s["name"], "image": "web:1", "ports": [{"containerPort": 8080, "protocol": "TCP"}]}
                for s in statuses
            ],
            **({"initContainers": inits} if inits else {}),
            **(spec or {}),
        },
        "status": {
            "phase": phase, "podIP": "10.244.1.7", "podIPs": [{"ip": "10.244.1.7"}, {"ip": "fd00::7"}],
            "containerStatuses": list(statuses),
            **({"initContainerStatuses": list(init)} if init else {}),
            **(status or {}),
        },
    }  # fmt: skip


def read(pod, container=None):
    return pods.read(pod, asked="deploy/web", container=container)


def test_a_running_pod():
    pod = read(raw(running("web")))

    assert (pod.container, pod.wanted.container, pod.node, pod.ips) == (
        "web",
        WEB,
        "n1",
        ("10.244.1.7", "fd00::7"),
    )
    assert (pod.workload, pod.ports, pod.mesh, pod.notes) == ("deploy/web", (8080,), False, ())
    assert pod.described["container_id"] == WEB
    assert pod.reference == {"namespace": "shop", "name": "web-7d9f8c6b5d-x2x4z", "uid": "0b7e"}


def test_a_proxy_that_stands_first_is_not_the_container():
    pod = read(raw(running("istio-proxy", SIDE), running("web")))

    assert (pod.container, pod.mesh) == ("web", True)


def test_a_proxy_as_native_sidecar():
    pod = read(raw(running("web"), init=[running("linkerd-proxy", SIDE)], sidecars=["linkerd-proxy"]))

    assert (pod.container, pod.mesh) == ("web", True)


def test_the_default_container_is_kubectls():
    annotations = {"kubectl.kubernetes.io/default-container": "log"}

    assert read(raw(running("web"), running("log", SIDE), annotations=annotations)).container == "log"


def test_a_default_container_that_is_not_there_is_passed_over():
    annotations = {"kubectl.kubernetes.io/default-container": "gone"}

    assert read(raw(running("web"), annotations=annotations)).container == "web"


def test_a_container_that_is_asked_for():
    pod = raw(running("web"), running("log", SIDE), init=[ended("setup", container_id="c3" * 32)])

    assert read(pod, "log").wanted.container == SIDE
    with pytest.raises(TargetNotFoundError, match=r"no container 'lgo', only web, log, setup") as caught:
        read(pod, "lgo")
    assert caught.value.next_step


def test_a_crash_loop_beside_a_container_that_runs():
    crash = waiting("web", "CrashLoopBackOff", "back-off 5m0s restarting failed container=web", WEB)
    pod = read(raw(crash, running("log", SIDE)))

    assert pod.container == "log"
    assert "web of shop/web-7d9f8c6b5d-x2x4z is down (CrashLoopBackOff" in pod.notes[0]


def test_a_crash_loop_alone_is_entered_through_the_sandbox():
    pod = read(raw(waiting("web", "CrashLoopBackOff", container_id=WEB)))

    assert pod.container == "web"
    assert "sandbox" in pod.notes[0]
    assert pod.wanted.marks == ("0b7e",)


def test_an_init_container_that_runs_is_entered():
    pod = read(raw(waiting("web", "PodInitializing"), init=[running("setup", SIDE)], phase="Pending"))

    assert pod.container == "setup"
    assert len(pod.notes) == 1


def test_an_image_that_does_not_come():
    pull = waiting("web", "ImagePullBackOff", 'Back-off pulling image "web:1"')

    with pytest.raises(
        TargetNotRunningError, match='ImagePullBackOff: Back-off pulling image "web:1"'
    ) as caught:
        read(raw(pull, phase="Pending"))
    assert caught.value.next_step == "kubectl describe pod -n shop web-7d9f8c6b5d-x2x4z"


def test_the_init_container_is_what_the_others_wait_for():
    pod = raw(
        waiting("web", "PodInitializing"),
        init=[waiting("setup", "ErrImagePull", "not found")],
        phase="Pending",
    )

    with pytest.raises(TargetNotRunningError, match="ErrImagePull: not found"):
        read(pod)


def test_a_pod_that_fits_nowhere():
    pod = raw(waiting("web", "x"), phase="Pending", status={"containerStatuses": [], "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
         "message": "0/3 nodes are available: 3 Insufficient cpu."},
    ]})  # fmt: skip
    del pod["spec"]["nodeName"]

    with pytest.raises(TargetNotRunningError, match="no node yet: Unschedulable: 0/3 nodes are available"):
        read(pod)


@pytest.mark.parametrize(("phase", "reason"), [("Succeeded", None), ("Failed", "Evicted")])
def test_a_pod_that_has_ended(phase, reason):
    with pytest.raises(TargetNotRunningError, match=f"has ended .{reason or phase}."):
        read(raw(ended("web"), phase=phase, status={"reason": reason} if reason else None))


def test_a_pod_that_is_being_deleted_is_said():
    pod = read(raw(running("web"), deletionTimestamp="2026-11-26T09:10:00Z"))

    assert pod.notes == ("The pod shop/web-7d9f8c6b5d-x2x4z is being deleted.",)


@pytest.mark.parametrize(
    "spec", [{"os": {"name": "windows"}}, {"nodeSelector": {"kubernetes.io/os": "windows"}}]
)
def test_windows_is_refused(spec):
    with pytest.raises(TargetNotRunningError, match="Windows"):
        read(raw(running("web"), spec=spec))


def test_a_static_pod_is_known_by_its_hash_on_the_node():
    mirror = {
        "kubernetes.io/config.hash": "5d41402abc4b2a76b9719d911017c592",
        "kubernetes.io/config.mirror": "5d41402abc4b2a76b9719d911017c592",
        "kubernetes.io/config.source": "file",
    }
    owner = [{"apiVersion": "v1", "kind": "Node", "name": "n1", "controller": True}]
    pod = read(
        raw(running("web"), annotations=mirror, ownerReferences=owner, spec={"hostNetwork": True}, labels={})
    )

    assert pod.wanted.marks == ("0b7e", "5d41402abc4b2a76b9719d911017c592")
    assert (pod.workload, pod.host_network) == ("", True)


@pytest.mark.parametrize("prefix", ["docker", "containerd", "cri-o"])
def test_runtimes(prefix):
    status = {**running("web"), "containerID": f"{prefix}://{WEB}"}

    assert read(raw(status)).wanted.container == WEB


@pytest.mark.parametrize(
    ("job", "workload"),
    [("backup-29737500", "cj/backup"), ("backup-20261126", "job/backup-20261126"), ("once", "job/once")],
)
def test_a_cronjob_is_known_by_the_minute_in_its_jobs_name(job, workload):
    owner = [{"apiVersion": "batch/v1", "kind": "Job", "name": job, "controller": True}]

    assert read(raw(running("web"), ownerReferences=owner)).workload == workload
