"""The Kubernetes programs, compiled once from the versions that tools/*/go.mod pin.

Only the first cluster on a machine waits for this. Programs are compiled beside their place and
renamed into it; where they are kept depends on what they are made from and how.
"""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testbed import wheels
from testbed.compiler import FLAGS, Build, Report
from testbed.errors import BuildFailedError
from testbed.locations import TOOLS, cache_folder
from testbed.lock import exclusive


@dataclass(frozen=True, slots=True)
class Module:
    """A module file of ours, which pins programs and all that they are compiled from.

    title: the name users know.
    folder: below tools/.
    names: the Go module whose version it is called by.
    """

    title: str
    folder: str
    names: str

    @property
    def version(self) -> str:
        """The version by which it is called, such as v1.36.3."""
        return self.version_of(self.names)

    def version_of(self, required: str) -> str:
        """The version of a Go module that it requires.

        Raises BuildFailedError: it requires none of that name.
        """
        found = re.search(
            rf"^\s*(?:require )?{re.escape(required)} (v\S+)", self._pinned(), re.MULTILINE
        )
        if not found:
            raise BuildFailedError(f"tools/{self.folder}/go.mod does not require {required}")
        return found[1]

    @property
    def kept(self) -> Path:
        """Where its programs belong: with another pin or other flags, another folder."""
        recipe = "\n".join((self._pinned(), *FLAGS))
        digest = hashlib.sha256(recipe.encode()).hexdigest()[:8]
        return cache_folder() / f"{self.folder}-{self.version}-{digest}" / "bin"

    def _pinned(self) -> str:
        return (TOOLS / self.folder / "go.mod").read_text()


_KUBERNETES = Module("Kubernetes", "kubernetes", "k8s.io/kubernetes")
_KWOK_MODULE = Module("kwok", "kwok", "sigs.k8s.io/kwok")


@dataclass(frozen=True, slots=True)
class Tool:
    """One program: its name, the Go package it is made from and the module that pins it."""

    name: str
    package: str
    module: Module

    @property
    def path(self) -> Path:
        """Where the compiled program belongs."""
        return self.module.kept / self.name

    @property
    def as_go_calls_it(self) -> str:
        """The file name that the compiler gives it: the package's last element but v3."""
        return re.sub(r"/v\d+$", "", self.package).rpartition("/")[2]


def _kubernetes(name: str) -> Tool:
    return Tool(name, f"k8s.io/kubernetes/cmd/{name}", _KUBERNETES)


_SERVER = "go.etcd.io/etcd/server/v3"
_ETCD = Tool("etcd", _SERVER, _KUBERNETES)  # the version that Kubernetes is tested with
_KWOK = Tool("kwok", "sigs.k8s.io/kwok/cmd/kwok", _KWOK_MODULE)

CONTROL_PLANE = (
    _ETCD,
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
)
SIMULATED_NODE = (_KWOK,)
REAL_NODE = (_kubernetes("kubelet"), _kubernetes("kube-proxy"))
HELM_3 = Tool("helm", "helm.sh/helm/v3/cmd/helm", Module("Helm", "helm3", "helm.sh/helm/v3"))
"""The Helm before the one in tools/wheels; only the check of the installation asks for it."""


def versions() -> dict[str, str]:
    """The pinned version of Kubernetes, etcd and kwok, by name."""
    return {
        "kubernetes": _KUBERNETES.version,
        "etcd": _KUBERNETES.version_of(_SERVER),
        "kwok": _KWOK_MODULE.version,
    }


def path_of(name: str) -> Path:
    """Where the program of this name is, once ensure() returned.

    Raises StopIteration: the testbed compiles no such program.
    """
    return next(t.path for t in (*CONTROL_PLANE, *SIMULATED_NODE, *REAL_NODE) if t.name == name)


def ensure(tools: tuple[Tool, ...], report: Report) -> None:
    """Compile what is missing and fetch kubectl.

    Raises BuildFailedError: the compiler or the download failed.
    """
    if not any(_missing(tools)):
        wheels.kubectl()
        return

    def waiting() -> None:
        report("another testbed compiles the tools; waiting for it")

    with exclusive(cache_folder() / "build.lock", waiting):
        wheels.kubectl()
        missing = list(_missing(tools))
        modules = list(dict.fromkeys(tool.module for tool in missing))
        for position, module in enumerate(modules, start=1):
            count = f"[{position}/{len(modules)}] " if len(modules) > 1 else ""
            title = f"{count}{module.title} {module.version}"
            _compile(title, [tool for tool in missing if tool.module == module], report)


def _missing(tools: tuple[Tool, ...]) -> Iterator[Tool]:
    return (tool for tool in tools if not tool.path.exists())


def _compile(title: str, tools: list[Tool], report: Report) -> None:
    module = tools[0].module
    module.kept.mkdir(parents=True, exist_ok=True)
    for former in module.kept.glob(".unfinished.*"):
        shutil.rmtree(former)
    # A compiler outlives a killed testbed for a while and must not write into our files.
    unfinished = module.kept / f".unfinished.{os.getpid()}"
    unfinished.mkdir()
    started = time.monotonic()
    Build(
        title,
        module=TOOLS / module.folder,
        packages=[tool.package for tool in tools],
        into=unfinished,
        # Without the version the server calls itself v0.0.0.
        variables={"k8s.io/component-base/version.gitVersion": _KUBERNETES.version},
        log=cache_folder() / f"build-{module.folder}.log",
    ).run(report)
    for tool in tools:
        (unfinished / tool.as_go_calls_it).rename(tool.path)
    unfinished.rmdir()
    report(f"{title}: ready after {time.monotonic() - started:.0f} s")
