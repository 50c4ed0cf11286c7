"""Who may do what: RBAC by the objects in the store, and Pod Security by the namespaces' labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.objects import StatusError

if TYPE_CHECKING:
    from cluster.objects import Store

RBAC = "rbac.authorization.k8s.io"
LEVEL = "pod-security.kubernetes.io/enforce"
BASELINE_CAPABILITIES = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip


class User:
    def __init__(self, name: str, groups: tuple[str, ...] = ()) -> None:
        self.name = name
        self.groups = (*groups, "system:authenticated")


class Action:
    """What a request wants: the words of a rule."""

    def __init__(
        self,
        verb: str,
        group: str,
        resource: str,
        *,
        subresource: str = "",
        namespace: str = "",
        name: str = "",
    ) -> None:
        self.verb, self.group, self.resource = verb, group, resource
        self.subresource, self.namespace, self.name = subresource, namespace, name

    @property
    def whole(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def allowed(store: Store, user: User, action: Action) -> bool:
    if "system:masters" in user.groups:
        return True
    for binding in store.of(RBAC, "clusterrolebindings").values():
        if _binds(binding, user) and _permits(_role(store, binding, ""), action):
            return True
    return any(
        _binds(binding, user) and _permits(_role(store, binding, namespace), action)
        for (namespace, _), binding in store.of(RBAC, "rolebindings").items()
        if namespace == action.namespace
    )


def require(store: Store, user: User, action: Action) -> None:
    if allowed(store, user, action):
        return
    named = f' "{action.name}"' if action.name else ""
    kind = f"{action.resource}.{action.group}" if action.group else action.resource
    where = f' in the namespace "{action.namespace}"' if action.namespace else " at the cluster scope"
    raise StatusError(
        403,
        "Forbidden",
        f'{kind}{named} is forbidden: User "{user.name}" cannot {action.verb} resource "{action.whole}" '
        f'in API group "{action.group}"{where}',
        {"name": action.name, "kind": action.resource},
    )


def _binds(binding: dict, user: User) -> bool:
    return any(
        (s["kind"] == "User" and s["name"] == user.name)
        or (s["kind"] == "Group" and s["name"] in user.groups)
        for s in binding.get("subjects") or ()
    )


def _role(store: Store, binding: dict, namespace: str) -> dict:
    reference = binding["roleRef"]
    if reference["kind"] == "ClusterRole":
        return store.of(RBAC, "clusterroles").get(("", reference["name"]), {})
    return store.of(RBAC, "roles").get((namespace, reference["name"]), {})


def _permits(role: dict, action: Action) -> bool:
    return any(
        _has(rule.get("verbs"), action.verb)
        and _has(rule.get("apiGroups"), action.group)
        and (_has(rule.get("resources"), action.whole))
        and (not rule.get("resourceNames") or action.name in rule["resourceNames"])
        for rule in role.get("rules") or ()
    )


def _has(words: list[str] | None, word: str) -> bool:
    return "*" in (words or ()) or word in (words or ())


def admit(store: Store, namespace: str, pod: dict) -> None:
    """Pod Security: refuse what the namespace's level forbids (pod-security-standards)."""
    labels = store.of("", "namespaces").get(("", namespace), {}).get("metadata", {}).get("labels") or {}
    level = labels.get(LEVEL, "privileged")
    if level == "privileged":
        return
    spec = pod["spec"]
    containers = [*spec.get("containers", ()), *spec.get("ephemeralContainers", ())]
    violations = []
    host = [f"{key}=true" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    if host:
        violations.append(f"host namespaces ({', '.join(host)})")
    violations += _capabilities(containers, set() if level == "restricted" else BASELINE_CAPABILITIES)
    if level == "restricted":
        for c in containers:
            if not (c.get("securityContext") or {}).get("runAsNonRoot"):
                violations.append(
                    f'runAsNonRoot != true (pod or container "{c["name"]}" must set '
                    "securityContext.runAsNonRoot=true)"
                )
    if violations:
        name = pod["metadata"].get("name", "")
        message = (
            f'pods "{name}" is forbidden: violates PodSecurity "{level}:latest": {", ".join(violations)}'
        )
        raise StatusError(403, "Forbidden", message, {"name": name, "kind": "pods"})


def _capabilities(containers: list[dict], may: set[str]) -> list[str]:
    found = []
    for container in containers:
        capabilities = (container.get("securityContext") or {}).get("capabilities") or {}
        beyond = sorted(set(capabilities.get("add") or ()) - may)
        if beyond:
            quoted = ", ".join(f'"{c}"' for c in beyond)
            found.append(
                f'non-default capabilities (container "{container["name"]}" must not include {quoted} in '
                "securityContext.capabilities.add)"
            )
    return found
