"""k8scap as one of Wireshark's own capture programs (extcap(4)): `k8scap-extcap`, which Wireshark runs.

Wireshark asks which interfaces there are, what may be set on one, whether a filter can be, and then has it
capture into a pipe.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

from k8scap.errors import K8scapError, UsageError
from k8scap.wireshark.interfaces import ANY, Interface, listed, named
from k8scap.wireshark.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WAYS = ("auto", "local", "node-pod", "ephemeral", "exec")
_SECONDS = 3600
_ETHERNET = "EN10MB"
_WITH_VALUES = (
    *("--extcap-interface", "--extcap-capture-filter", "--fifo"),
    *("--target", "--namespace", "--context", "--container", "--interface"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Answer one question, or capture; returns the exit code. Wireshark shows what stands on stderr."""
    arguments, _ = _parser().parse_known_args(_joined(sys.argv[1:] if argv is None else argv))
    try:
        return _answer(arguments)
    except K8scapError as error:
        print(f"k8scap: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


def _joined(words: Sequence[str]) -> list[str]:
    """Each setting with its value in one word: a filter may begin with a dash, and is no option of ours."""
    joined: list[str] = []
    waiting = ""
    for word in words:
        if waiting:
            joined.append(f"{waiting}={word}")
            waiting = ""
        elif word in _WITH_VALUES:
            waiting = word
        else:
            joined.append(word)
    return joined


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="k8scap-extcap", description=__doc__, allow_abbrev=False)
    for question in ("interfaces", "dlts", "config"):
        parser.add_argument(f"--extcap-{question}", action="store_true")
    parser.add_argument("--capture", action="store_true")
    for setting in _WITH_VALUES:
        parser.add_argument(setting, default=ANY if setting == "--extcap-interface" else "")
    parser.add_argument("--via", choices=_WAYS, default="auto")
    parser.add_argument("--seconds", type=float, default=_SECONDS)
    parser.add_argument("--exact-filter", action="store_true")
    return parser


def _answer(arguments: argparse.Namespace) -> int:
    if arguments.extcap_interfaces:
        _say(_interfaces())
        # A thread may still wait for a cluster that does not answer: nobody waits for it.
        sys.stdout.flush()
        os._exit(0)
    interface = named(arguments.extcap_interface)
    if arguments.extcap_dlts:
        _say([sentence("dlt", number=1, name=_ETHERNET, display="Ethernet, or what the target has")])
    elif arguments.extcap_config:
        _say(_settings(interface))
    elif arguments.capture:
        _capture(interface, arguments)
    elif arguments.extcap_capture_filter:
        _say(_objections(arguments.extcap_capture_filter))
    else:
        raise UsageError("This is a program that Wireshark runs.", next_step="k8scap wireshark --help")
    return 0


def _say(sentences: Sequence[str] | Iterator[str]) -> None:
    for each in sentences:
        print(each)  # noqa: T201


def _interfaces() -> Iterator[str]:
    yield sentence("extcap", version=version("k8scap"), display="k8scap")
    for each in listed():
        yield sentence("interface", value=each.value, display=each.display)


def _settings(interface: Interface) -> Iterator[str]:
    """What Wireshark asks for before it captures on this interface."""
    asked = [
        ("target", "Target", "string", "pod/NAME, deploy/NAME, svc/NAME, docker/NAME, netns/NAME, pid/N …"),
        ("namespace", "Namespace", "string", "of the pod; default: the kubeconfig's"),
        ("context", "Context", "string", "of the kubeconfig; default: its current one"),
        ("container", "Container", "string", "of the pod, whose processes are entered"),
        ("via", "Way into the pod", "selector", "auto takes the best that is allowed"),
        ("interface", "Network interface", "string", "eth0, lo, any …; default: the main one"),
        ("seconds", "Stop after (seconds)", "unsigned", "whatever Wireshark does"),
        ("exact-filter", "Exactly this filter", "boolflag", "do not add ICMP, ARP, fragments and DNS"),
    ]
    of_pods = {"namespace", "context", "container", "via"}
    if interface.target:
        left_out = {"target", "namespace"} | (set() if interface.namespace else of_pods)
        asked = [each for each in asked if each[0] not in left_out]
    defaults = {"seconds": _SECONDS, "exact-filter": "false"}
    for number, (call, display, kind, tooltip) in enumerate(asked):
        yield sentence(
            "arg",
            number=number,
            call=f"--{call}",
            display=display,
            tooltip=tooltip,
            type=kind,
            required="true" if call == "target" else "",
            default=defaults.get(call, ""),
        )
        if call == "via":
            for way in _WAYS:
                yield sentence(
                    "value", arg=number, value=way, display=way, default="true" if way == "auto" else "false"
                )


def _objections(text: str) -> Iterator[str]:
    """Nothing, where tcpdump can compile the filter (for Ethernet: the target is not asked yet)."""
    from k8scap.runner import LocalRunner

    runner = LocalRunner()
    if runner.which("tcpdump"):
        done = runner.run(["tcpdump", "-y", _ETHERNET, "-d", "--", text], timeout=10)
        if done.returncode:
            yield done.error_text.splitlines()[-1].removeprefix("tcpdump: ")


def _capture(interface: Interface, arguments: argparse.Namespace) -> None:
    """Into the pipe, until Wireshark closes it, ends us, or `--seconds` are over."""
    if not arguments.fifo:
        raise UsageError("--capture needs --fifo.", next_step="k8scap capture … -w - | wireshark -k -i -")
    # First the pipe: Wireshark waits at its other end, and an error would never be seen.
    pipe = os.open(arguments.fifo, os.O_WRONLY)
    os.dup2(pipe, sys.stdout.fileno())
    os.close(pipe)
    target = interface.target or arguments.target
    if not target:
        raise UsageError("No target was named.", next_step="set Target in the interface's options")
    from k8scap import live

    with live.stop_on_signals():
        live.capture(
            target,
            namespace=interface.namespace or arguments.namespace or None,
            context=arguments.context or None,
            container=arguments.container or None,
            via=arguments.via,
            interface=arguments.interface or None,
            filter=arguments.extcap_capture_filter,
            exact_filter=arguments.exact_filter,
            seconds=arguments.seconds or None,
            size=None,
            output="-",
            progress=False,
        )


if __name__ == "__main__":
    sys.exit(main())
