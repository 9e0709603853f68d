"""The pod of a process, by the names of the cgroups it is in.

It takes the host's process ids: an agent without hostPID sees none of them and finds nobody.
"""

from pathlib import Path

from carbonaware_agent.workloads import cgroup_names


def pod_of_process(proc: Path, process: int) -> str | None:
    """The uid in the name of the pod cgroup that a process is in; empty: it is in none.

    None: it cannot be seen.
    """
    try:
        text = (proc / str(process) / "cgroup").read_text(errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        # The outermost first: a container may be allowed to make cgroups in its own, of any name.
        for name in line.split(":", 2)[-1].split("/"):
            pod = cgroup_names.pod_of(name)
            if pod is not None:
                return pod
    return ""
