"""All that touches a running system: capture(), watch(), enter(); the recipe of a capture on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.live.session import LiveCapture
from k8scap.live.session.signals import stop_on_signals

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from k8scap.analysis import Capture
    from k8scap.live.checkup import Preflight
    from k8scap.live.session.spec import Seconds

__all__ = ["LiveCapture", "capture", "doctor", "enter", "stop_on_signals", "watch"]


def capture(
    *targets: str,
    namespace: str | None = None,
    context: str | None = None,
    container: str | None = None,
    selector: str = "",
    all_pods: bool = False,
    follow: bool = False,
    filter: str = "",  # noqa: A002 - tcpdump's word, and the command line's
    seconds: Seconds = "auto",
    interface: str | Sequence[str] | None = None,
    packets: int | None = None,
    size: str | int | None = "500MB",
    snaplen: int = 0,
    ring: int | tuple[int, str | int] | None = None,
    via: str = "auto",
    exact_filter: bool = False,
    output: str | os.PathLike[str] | None = None,
    name: str | None = None,
    command: Sequence[str] | None = None,
    progress: bool | None = None,
) -> Capture:
    """Capture in the targets' network namespaces, and open what was captured.

    Parameters
    ----------
    targets: as kubectl writes them: pod/NAME (a bare NAME is a pod), deploy/NAME, sts/, ds/, rs/, job/,
        svc/NAME (their pods), node/NAME; on this machine docker/NAME, container/ID, pid/N, netns/NAME.
        Several are captured together, one recording each, as points of one Capture.
    namespace, context: of the Kubernetes targets; default: those of the kubeconfig, as kubectl has it.
    container: whose processes are entered; the network is the whole pod's.
    selector: a label selector; its pods are captured too.
    all_pods: allow more than 10 pods. follow: capture pods too that appear meanwhile.
    via: the way in: local (on the node, as root), node-pod (a short-lived helper pod on the node), ephemeral
        (an ephemeral container in the pod), exec (the image has tcpdump); auto: the best that is allowed.
    filter: as tcpdump takes it; ICMP, ARP, fragments and DNS are added unless `exact_filter`.
    seconds, packets, size: limits, the first that is reached ends it; None is no limit. `seconds` "auto"
        is 60, or as long as `command` runs. `size` is bytes or text ("500MB").
    interface: one or several (each is a point of its own); default: that of the default route, else the
        only one that is up, else any.
    snaplen: bytes kept of each packet; 0 is all.
    ring: keep the last N files of `size` each (then `size` ends nothing), or (files, size of a file).
    output: folder, by default this one; or NAME.pcap in one; or "-": the pcap to stdout, and no file.
    name: of the recording, NAME.pcap and NAME.json; by default the target and the time. What is there
        already is never overwritten: then it is NAME-2.
    command: an argv to run here meanwhile; its exit code is told in the manifest.
    progress: a bar; None shows one where somebody looks and it takes more than a second.

    Ctrl-C ends it and keeps what came. Raises TargetError and its kinds, FilterError, UsageError,
    NotPermittedError, ToolMissingError; CaptureBrokenError and DiskFullError, with the `files` that were
    kept, where it broke off.
    """
    with stop_on_signals():
        from k8scap.live.session.progress import show

        live = watch(
            *targets,
            namespace=namespace,
            context=context,
            container=container,
            selector=selector,
            all_pods=all_pods,
            follow=follow,
            filter=filter,
            seconds=seconds,
            interface=interface,
            packets=packets,
            size=size,
            snaplen=snaplen,
            ring=ring,
            via=via,
            exact_filter=exact_filter,
            output=output,
            name=name,
            command=command,
            progress=False,
        )
        try:
            show(live, progress=progress)
        except KeyboardInterrupt:
            live.request_stop("interrupted")
        return live.result()


def watch(
    *targets: str,
    namespace: str | None = None,
    context: str | None = None,
    container: str | None = None,
    selector: str = "",
    all_pods: bool = False,
    follow: bool = False,
    filter: str = "",  # noqa: A002 - tcpdump's word, and the command line's
    seconds: Seconds = "auto",
    interface: str | Sequence[str] | None = None,
    packets: int | None = None,
    size: str | int | None = "500MB",
    snaplen: int = 0,
    ring: int | tuple[int, str | int] | None = None,
    via: str = "auto",
    exact_filter: bool = False,
    output: str | os.PathLike[str] | None = None,
    name: str | None = None,
    command: Sequence[str] | None = None,
    progress: bool | None = None,
) -> LiveCapture:
    """Start what `capture` does and return as soon as tcpdump listens; `.stop()` gives the Capture.

    In a notebook a panel shows under the cell how it goes, with a Stop button; `progress=False` shows none.
    """
    from k8scap.live.doors import Scope
    from k8scap.live.session import spec as specs
    from k8scap.live.session.planning import plan
    from k8scap.live.watching.display import in_a_notebook, show
    from k8scap.runner import LocalRunner

    spec = specs.build(
        filter=filter,
        exact_filter=exact_filter,
        interface=interface,
        seconds=seconds,
        packets=packets,
        size=size,
        snaplen=snaplen,
        ring=ring,
        command=command,
    )
    runner = LocalRunner()
    scope = Scope(
        namespace=namespace,
        context=context,
        container=container,
        selector=selector,
        all_pods=all_pods,
        follow=follow,
        via=via,
    )
    planned = plan(targets, spec, scope=scope, output=output, name=name, command=command, runner=runner)
    try:
        live = LiveCapture(planned, runner=runner).start()
    except BaseException:
        planned.let_go()
        raise
    if progress is not False and in_a_notebook():
        try:
            show(live)
        except BaseException:
            live.request_stop("interrupted")  # nobody has it in hand
            raise
    return live


def enter(
    target: str,
    *,
    namespaces: Sequence[str] = ("net",),
    command: Sequence[str] = (),
    setuid: int | None = None,
    setgid: int | None = None,
    root: bool = False,
    wd: bool = False,
    namespace: str | None = None,
    context: str | None = None,
    container: str | None = None,
) -> int:
    """Run `command` (default: $SHELL) in a target's namespaces; see `entering.enter`.

    A pod (`namespace`, `context` and `container` say which) is entered on its own node.
    """
    from k8scap.live.doors import Scope
    from k8scap.live.entering import enter as enter_target

    return enter_target(
        target,
        namespaces=namespaces,
        command=command,
        setuid=setuid,
        setgid=setgid,
        root=root,
        wd=wd,
        scope=Scope(namespace=namespace, context=context, container=container),
    )


def doctor(
    target: str | None = None,
    *,
    namespace: str | None = None,
    context: str | None = None,
    container: str | None = None,
    clean: bool = False,
) -> Preflight:
    """What works from here: the tools, the cluster, each way into `target`, and what would change a no.

    Changes nothing; with `clean`, helper pods that have expired are deleted. See `checkup.check`.
    """
    from k8scap.live.checkup import check

    return check(target, namespace=namespace, context=context, container=container, clean=clean)
