"""What a cluster's owner settles once: the helper's image, where it comes from, where helper pods run."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from k8scap.errors import UsageError

DEFAULT_IMAGE = "k8scap/k8scap-helper:0.1.0"
"""The name under which deploy/helper/Dockerfile would be published."""
DEFAULT_NAMESPACE = "k8scap"

_IMAGE = re.compile(r"[a-z0-9]([a-z0-9._/:-]*[a-z0-9])?(:[A-Za-z0-9_.-]{1,128})?(@sha256:[0-9a-f]{64})?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class HelperSettings:
    """From the environment, so that one line in a profile or a notebook's image settles it.

    K8SCAP_IMAGE        the image of helper pods and ephemeral containers; it holds tcpdump, nsenter, timeout,
                        env, find, grep and kill
    K8SCAP_MIRROR       a registry (and path) that is put in front of the image's name: an air gap's mirror
    K8SCAP_PULL_SECRETS names of secrets in the helper's namespace, with commas between
    K8SCAP_NAMESPACE    where helper pods run; default: k8scap where that may be, else the target's own
    """

    image: str = DEFAULT_IMAGE
    pull_secrets: tuple[str, ...] = ()
    namespace: str = ""

    @classmethod
    def read(cls) -> HelperSettings:
        """Raises UsageError for a name that cannot be."""
        image = os.environ.get("K8SCAP_IMAGE") or DEFAULT_IMAGE
        if mirror := os.environ.get("K8SCAP_MIRROR", "").strip("/"):
            image = f"{mirror}/{image}"
        if not _IMAGE.fullmatch(image) or len(image) > 500:
            raise UsageError(f"{image!r} cannot be an image's name.", next_step="export K8SCAP_IMAGE=…")
        secrets = [s.strip() for s in os.environ.get("K8SCAP_PULL_SECRETS", "").split(",") if s.strip()]
        namespace = os.environ.get("K8SCAP_NAMESPACE", "")
        for name in [*secrets, *([namespace] if namespace else [])]:
            if not is_name(name):
                raise UsageError(f"{name!r} cannot be a name in Kubernetes.", next_step="env | grep K8SCAP_")
        return cls(image=image, pull_secrets=tuple(secrets), namespace=namespace)


def is_name(text: str) -> bool:
    """Whether it is a DNS subdomain, as most objects' names are (RFC 1123)."""
    return bool(_NAME.fullmatch(text))
