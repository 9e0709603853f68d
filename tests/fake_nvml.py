"""GPUs that a text file describes, played by a C library which the real NVML binding loads."""

import ctypes
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

_SOURCE = Path(__file__).parent / "agent" / "fake_nvml.c"
LIBRARY = "libnvidia-ml.so.1"


@functools.cache
def library() -> Path:
    """The compiled library, once for each process of the test run."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = Path(tempfile.mkdtemp(prefix="fake-nvml-"))
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / LIBRARY, str(_SOURCE)], check=True)
    return folder / LIBRARY


class FakeNvml:
    """The driver's GPUs in a file; `environment` is what a process needs to see them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._state = folder / "gpus"
        self._calls = folder / "calls"
        self.environment = {
            "LD_LIBRARY_PATH": str(library().parent),
            "FAKE_NVML_STATE": str(self._state),
            "FAKE_NVML_CALLS": str(self._calls),
        }
        self.show()

    def show(self, *lines: str) -> None:
        """Replace what the driver shows; the lines' form is in `agent/fake_nvml.c`."""
        temporary = self._state.with_suffix(".new")
        temporary.write_text("".join(f"{line}\n" for line in lines))
        temporary.replace(self._state)

    def calls(self, name: str) -> int:
        """How often a function was called so far."""
        text = self._calls.read_text() if self._calls.exists() else ""
        return text.splitlines().count(name)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> "FakeNvml":
        """Have this process's binding use it."""
        import pynvml

        for name, value in self.environment.items():
            if name != "LD_LIBRARY_PATH":
                monkeypatch.setenv(name, value)
        monkeypatch.setattr(pynvml, "nvmlLib", ctypes.CDLL(str(library())))
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        # The library stays loaded, with the users that the test before left.
        while pynvml.nvmlLib.nvmlShutdown() == 0:
            pass
        self._calls.unlink(missing_ok=True)
        return self


def a_gpu(uuid: str = "GPU-a", **fields: object) -> str:
    """A GPU that counts its energy, unless told otherwise; None takes a field away."""
    known: dict[str, object] = {"uuid": uuid, "minor": 0, "name": "H100", "energy": 0}
    return _line("gpu", known | fields)


def a_mig_device(uuid: str, *, gpu: int = 0, **fields: object) -> str:
    """A MIG device of one slice, unless told otherwise."""
    return _line("mig", {"gpu": gpu, "uuid": uuid, "gi": 1, "slices": 1} | fields)


def a_gpu_process(pid: int, sm: int, *, gpu: int = 0, time: int = 1) -> str:
    """A process and its share of the GPU's processors in percent."""
    return _line("process", {"gpu": gpu, "pid": pid, "sm": sm, "time": time})


def _line(kind: str, fields: dict[str, object]) -> str:
    words: Sequence[str] = [
        f"{key}={str(value).replace(' ', '_')}"
        for key, value in fields.items()
        if value is not None
    ]
    return " ".join([kind, *words])
