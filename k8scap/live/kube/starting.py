"""What ways have in common: pods opened side by side, and why a container of ours does not start."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from k8scap.errors import CaptureBrokenError, K8scapError, ToolMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from k8scap.live.kube.pods import Pod

    Opened = TypeVar("Opened")

PULL_FAILURES = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_MOST_AT_ONCE = 32


def open_each(pods: Sequence[Pod], open_one: Callable[[Pod], Opened]) -> dict[str, Opened | K8scapError]:
    """Pod UID → what `open_one` gives for it, or the error that it raises."""

    def attempt(pod: Pod) -> Opened | K8scapError:
        try:
            return open_one(pod)
        except K8scapError as error:
            return error
        except TimeoutError as error:
            return CaptureBrokenError(f"{pod.title} does not answer: {error}.")

    with ThreadPoolExecutor(max_workers=min(_MOST_AT_ONCE, len(pods))) as pool:
        return dict(zip((pod.uid for pod in pods), pool.map(attempt, pods), strict=True))


def no_image(image: str, node: str, waiting: Mapping[str, Any]) -> ToolMissingError:
    """The error of an image that a node cannot pull."""
    return ToolMissingError(
        image,
        message=f"The node {node} cannot pull the helper's image {image}: "
        f"{one_line(waiting.get('message') or waiting['reason'])}.",
        next_step="export K8SCAP_IMAGE=…, or K8SCAP_MIRROR=… and K8SCAP_PULL_SECRETS=…",
    )


def one_line(text: object) -> str:
    """What a server said, as part of a sentence."""
    return " ".join(str(text).split()).rstrip(".")[:500]
