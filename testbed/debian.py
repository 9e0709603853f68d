"""The Debian packages that a real node needs, installed only where they are missing."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.compiler import Report
from testbed.errors import TestbedError

PACKAGES = {
    # package -> what it is for
    "openssl": "the cluster's keys",
    "iproute2": "the pods' bridge",
    "containerd": "running containers",
    "runc": "running containers",
    "containernetworking-plugins": "connecting pods to the bridge",
    "nftables": "service addresses",
    "busybox-static": "the image of pause and load pods",
    "mmdebstrap": "the base of the images of operator and agent",
    "buildah": "the images of operator and agent",
    "prometheus": "checking dashboards, rules and alerts",
}
# The testbed starts its own of these; Debian's would come up at the next boot.
_SERVICES = ("containerd", "prometheus")
_FORBID_SERVICES = Path("/usr/sbin/policy-rc.d")


def missing() -> list[str]:
    """The packages that are not installed, all of them where there is no dpkg."""
    if not shutil.which("dpkg-query"):
        return list(PACKAGES)
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *PACKAGES],
        capture_output=True,
        text=True,
        check=False,  # it fails when it does not know a package, which is the question
    )
    installed = {
        name for name, status in map(str.split, asked.stdout.splitlines()) if status == "installed"
    }
    return [name for name in PACKAGES if name not in installed]


def install(report: Report) -> None:
    """Install what is missing; without the right or the means, say so and go on.

    Raises TestbedError: apt-get fails.
    """
    lacking = missing()
    if not lacking:
        report("every package for a real node is installed")
        return
    reason = _cannot_install()
    if reason:
        report(
            f"skipped {', '.join(lacking)}: {reason}. Clusters get a simulated node; "
            "for a real one run `python -m testbed deps` as root on Debian."
        )
        return
    report(f"installing {', '.join(lacking)}")
    with _no_services_started():
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", *lacking)
    services = [name for name in _SERVICES if name in lacking]
    if services and shutil.which("systemctl"):
        subprocess.run(["systemctl", "disable", *services], capture_output=True, check=False)
    report("installed")


def _cannot_install() -> str | None:
    if not shutil.which("apt-get"):
        return "this machine has no apt-get"
    if os.geteuid() != 0:
        return "installing packages needs root"
    return None


def _apt(*arguments: str) -> None:
    done = subprocess.run(
        ["apt-get", "--quiet", "--quiet", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise TestbedError(f"apt-get {arguments[0]} failed:\n{done.stdout[-1500:]}")


@contextmanager
def _no_services_started() -> Iterator[None]:
    """Debian starts a service when it installs one, unless this file says no."""
    if _FORBID_SERVICES.exists():
        yield
        return
    _FORBID_SERVICES.write_text("#!/bin/sh\nexit 101\n")
    _FORBID_SERVICES.chmod(0o755)
    try:
        yield
    finally:
        _FORBID_SERVICES.unlink()
