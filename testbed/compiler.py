"""One run of the Go compiler over a pinned module, and what it tells meanwhile.

What is compiled lies in Go's own cache, so an interrupted run goes on where it stopped.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from testbed.errors import BuildFailedError
from testbed.estimate import Estimate, Package
from testbed.toolchain import go_program

Report = Callable[[str], None]

# Why these: docs/design-notes.md. Kubernetes' own and generated code is not inlined; Go's library,
# apimachinery, apiserver and etcd, in which a server spends its time, are.
FLAGS = (
    "-mod=readonly",
    "-trimpath",
    "-buildvcs=false",
    "-gcflags=all=-dwarf=false",
    "-gcflags=k8s.io/kubernetes/...=-dwarf=false -l",
    "-gcflags=k8s.io/api/...=-dwarf=false -l",
)
"""How programs are compiled; a program that was compiled otherwise is another one."""

# Every program imports them and they are part of Go: compiled while modules are fetched.
_STANDARD = ("net/http", "html/template", "time/tzdata")

_LISTED = '{{.ImportPath}}\t{{.Dir}}\t{{join .GoFiles " "}}\t{{join .Imports " "}}'
_TICK_SECONDS = 15
_WORKERS = os.cpu_count() or 1
_MIB = 1 << 20
_MOST_MIB = 1024


@dataclass(frozen=True, slots=True)
class Build:
    """Programs that one module pins, compiled together.

    title: what the user knows them by.
    module: the folder of the go.mod.
    packages: the main packages.
    into: the folder that the programs appear in, named as Go names them.
    variables: strings that the linker sets, by name.
    log: takes what the compiler prints.
    """

    title: str
    module: Path
    packages: Sequence[str]
    into: Path
    variables: Mapping[str, str]
    log: Path

    def run(self, report: Report) -> None:
        """Compile, saying now and then how far it is.

        Raises BuildFailedError: a module cannot be fetched or does not compile.
        """
        report(f"{self.title}: compiling (only the first time)")
        with self.log.open("w") as output:
            with self._go(output, *_build(_STANDARD)) as ahead:
                packages = self._listed(output, lambda: report(f"{self.title}: fetching source"))
                self._wait(ahead, lambda: report(f"{self.title}: compiling Go's own library"))
            self._compile(output, packages, report)

    def _compile(self, output: IO[str], packages: list[Package], report: Report) -> None:
        estimate = Estimate(packages, programs=self.packages, workers=_WORKERS)
        stamps = "".join(f" -X {name}={value}" for name, value in self.variables.items())
        linking = (f"-ldflags=-s -w{stamps}", "-o", f"{self.into}/")
        started = time.monotonic()
        with (
            self.log.open() as printed,
            self._go(output, *_build(self.packages, linking)) as build,
        ):

            def tell() -> None:
                for line in printed:
                    estimate.started(line.strip())
                so_far = estimate.after(time.monotonic() - started)
                report(f"{self.title}: compiling, {so_far}")

            self._wait(build, tell)

    def _listed(self, output: IO[str], tell: Callable[[], None]) -> list[Package]:
        with TemporaryFile("w+") as listing:
            command = ("list", "-mod=readonly", "-deps", "-f", _LISTED, *self.packages)
            with self._go(listing, *command, errors=output) as listed:
                self._wait(listed, tell)
            listing.seek(0)
            return [_package(line.rstrip("\n")) for line in listing]

    @contextmanager
    def _go(
        self, output: IO[str], *command: str, errors: IO[str] | None = None
    ) -> Iterator["subprocess.Popen[bytes]"]:
        process = subprocess.Popen(
            ["nice", "-n", "10", go_program(), *command],
            cwd=self.module,
            env=_environment(),
            stdout=output,
            stderr=errors or subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            if process.poll() is None:  # interrupted: leave no compiler behind
                process.terminate()
                process.wait()

    def _wait(self, process: "subprocess.Popen[bytes]", tell: Callable[[], None]) -> None:
        while True:
            try:
                code = process.wait(timeout=_TICK_SECONDS)
            except subprocess.TimeoutExpired:
                tell()
            else:
                break
        if code:
            raise BuildFailedError(
                f"{self.title} does not compile; the end of {self.log}:\n"
                f"{self.log.read_text()[-1500:]}\n"
                "Check that the Go module proxy is reachable and that 6 GB of disk and 3 GB of "
                "memory are free, then run the command again; what is compiled already is kept."
            )


def _build(packages: Sequence[str], linking: Sequence[str] = ()) -> list[str]:
    return ["build", "-v", "-p", str(_WORKERS), *FLAGS, *linking, *packages]


def _package(described: str) -> Package:
    path, folder, files, imports = described.split("\t")
    size = sum((Path(folder) / name).stat().st_size for name in files.split())
    return Package(path, size, tuple(imports.split()))


def _environment() -> dict[str, str]:
    ours = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    # A compiler lives for a second; to collect its garbage costs a fifth of its time and saves
    # memory that is there: a quarter of the machine's, shared among as many as run at a time.
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    each = min(_MOST_MIB, memory // (4 * _WORKERS * _MIB))
    return {**os.environ, **ours, "GOGC": "off", "GOMEMLIMIT": f"{each}MiB"}
