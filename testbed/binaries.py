"""The Kubernetes programs, compiled once from the versions that tools/*/go.mod pin.

Only the first cluster on a machine waits for this (about six minutes on two cores). Each program
is compiled beside its place and renamed into it, so an interrupted build goes on where it stopped.
"""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from testbed import wheels
from testbed.errors import BuildFailedError
from testbed.locations import TOOLS, cache_folder
from testbed.lock import exclusive
from testbed.toolchain import go_program

Report = Callable[[str], None]

_TICK_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Tool:
    """One program: its name, the Go package it is made from and the module that pins it."""

    name: str
    package: str
    module: str
    folder: str

    @property
    def version(self) -> str:
        """The version that the module file requires, such as v1.36.3."""
        text = (TOOLS / self.folder / "go.mod").read_text()
        found = re.search(rf"^\s*(?:require )?{re.escape(self.module)} (v\S+)", text, re.MULTILINE)
        if not found:
            raise BuildFailedError(f"tools/{self.folder}/go.mod does not require {self.module}")
        return found[1]

    @property
    def path(self) -> Path:
        """Where the compiled program belongs."""
        return cache_folder() / f"{self.folder}-{self.version}" / "bin" / self.name


def _kubernetes(name: str) -> Tool:
    return Tool(name, f"k8s.io/kubernetes/cmd/{name}", "k8s.io/kubernetes", "kubernetes")


_ETCD = Tool("etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", "etcd")
_KWOK = Tool("kwok", "sigs.k8s.io/kwok/cmd/kwok", "sigs.k8s.io/kwok", "kwok")

CONTROL_PLANE = (
    _ETCD,
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
)
SIMULATED_NODE = (_KWOK,)
REAL_NODE = (_kubernetes("kubelet"), _kubernetes("kube-proxy"))


def versions() -> dict[str, str]:
    """The pinned version of Kubernetes, etcd and kwok, by name."""
    return {tool.folder: tool.version for tool in (CONTROL_PLANE[1], _ETCD, _KWOK)}


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
        for position, tool in enumerate(missing, start=1):
            _compile(tool, f"[{position}/{len(missing)}] {tool.name} {tool.version}", report)


def _missing(tools: tuple[Tool, ...]) -> Iterator[Tool]:
    return (tool for tool in tools if not tool.path.exists())


def _compile(tool: Tool, title: str, report: Report) -> None:
    tool.path.parent.mkdir(parents=True, exist_ok=True)
    for former in tool.path.parent.glob(f".{tool.name}.*"):
        former.unlink()
    # A compiler outlives a killed testbed for a while and must not write into our file.
    unfinished = tool.path.with_name(f".{tool.name}.{os.getpid()}")
    log = cache_folder() / f"build-{tool.name}.log"
    started = time.monotonic()
    report(f"{title}: compiling (only the first time)")
    with log.open("w") as output:
        build = subprocess.Popen(
            ["nice", "-n", "10", *_command(tool, unfinished)],
            cwd=TOOLS / tool.folder,
            env=_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _wait(build, lambda: report(f"{title}: compiling, {time.monotonic() - started:.0f} s"))
    if build.returncode:
        raise BuildFailedError(
            f"{tool.name} does not compile; the end of {log}:\n{log.read_text()[-1500:]}\n"
            "Check that the Go module proxy is reachable and that 6 GB of disk and 3 GB of memory "
            "are free, then run the command again; what is compiled already is kept."
        )
    unfinished.rename(tool.path)
    report(f"{title}: ready after {time.monotonic() - started:.0f} s")


def _command(tool: Tool, output: Path) -> list[str]:
    # Without the version the server calls itself v0.0.0.
    stamp = f"-X k8s.io/component-base/version.gitVersion={tool.version}"
    ldflags = f"-s -w {stamp}" if tool.folder == "kubernetes" else "-s -w"
    flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-p", str(os.cpu_count() or 1)]
    return [
        str(go_program()),
        "build",
        *flags,
        f"-ldflags={ldflags}",
        "-o",
        str(output),
        tool.package,
    ]


def _environment() -> dict[str, str]:
    ours = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    return {**os.environ, **ours}


def _wait(build: "subprocess.Popen[bytes]", tick: Callable[[], None]) -> None:
    try:
        while True:
            try:
                build.wait(timeout=_TICK_SECONDS)
            except subprocess.TimeoutExpired:
                tick()
            else:
                return
    finally:
        if build.poll() is None:  # interrupted: leave no compiler behind
            build.terminate()
            build.wait()
