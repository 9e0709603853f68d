"""The names that kubelet and container runtimes give to cgroups, all forms.

cgroupfs: kubepods[/burstable|/besteffort]/pod<uid>. systemd: kubepods.slice[/kubepods-<qos>.slice]/
kubepods[-<qos>]-pod<uid with underscores>.slice. Below another root (kind, a custom cgroup root)
each slice repeats its parents' names: kubelet.slice/kubelet-kubepods.slice/...
"""

import re

_UID = r"[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32}"
_PODS_ROOT = re.compile(r"(?:[\w-]+-)?kubepods(?:\.slice)?")
_QOS = re.compile(r"(?:(?:[\w-]+-)?kubepods-)?(burstable|besteffort)(?:\.slice)?")
_POD = re.compile(rf"(?:[\w-]+-)?pod({_UID})(?:\.slice)?")
# containerd that was left on the cgroupfs driver under a systemd kubelet takes the path it is
# given for one name; such a container has no pod cgroup.
_LOOSE_CONTAINER = re.compile(
    rf"(?:[\w-]+-)?kubepods[\w-]*-pod({_UID})\.slice:[\w-]+:[0-9a-f]{{64}}"
)


def is_pods_root(name: str) -> bool:
    """Whether a cgroup of this name holds all pods of a kubelet."""
    return _PODS_ROOT.fullmatch(name) is not None


def qos_of(name: str) -> str | None:
    """The QoS class whose pods a cgroup of this name holds."""
    match = _QOS.fullmatch(name)
    return match[1] if match else None


def pod_of(name: str) -> str | None:
    """The uid in a pod cgroup's name: a pod's uid, or the config hash of a static pod."""
    match = _POD.fullmatch(name)
    return match[1].replace("_", "-") if match else None


def pod_of_loose_container(name: str) -> str | None:
    """The uid in the name of a container cgroup that stands outside the pods' tree."""
    match = _LOOSE_CONTAINER.fullmatch(name)
    return match[1].replace("_", "-") if match else None
