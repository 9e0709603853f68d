"""Settings of the agent: flags, and an environment variable for each."""

import argparse
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carbonaware_agent import __version__
from carbonaware_agent.attribution.shares import IdlePolicy
from carbonaware_agent.sources.integration import LONGEST_TICK_SECONDS
from carbonaware_agent.workloads import kubelet
from carbonaware_agent.workloads.kubelet import KubeletAccess

_LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator of a node decided. Watts are the node's; None means not known."""

    node_name: str
    host_root: Path
    listen: tuple[str, int]
    state_dir: Path
    tick_seconds: float
    accounting_period_seconds: int
    kubeconfig: Path | None
    kubelet_url: str | None
    kubelet_ca: Path | None
    kubelet_insecure_skip_tls_verify: bool
    pod_resources_socket: Path | None
    max_watts: float | None
    curves: Path | None
    idle_watts: float | None
    idle_policy: IdlePolicy
    log_level: str

    @property
    def accounting_period_us(self) -> int:
        """Length of an accounting period in microseconds."""
        return self.accounting_period_seconds * 1_000_000

    @property
    def kubelet(self) -> KubeletAccess | None:
        """How to reach this node's kubelet, if somebody said where it is."""
        if not self.kubelet_url:
            return None
        verified = not self.kubelet_insecure_skip_tls_verify
        return KubeletAccess(self.kubelet_url, self.kubelet_ca, verified)


@dataclass(frozen=True, slots=True)
class _Flag:
    name: str
    default: str | None
    kind: Callable[[str], object]
    metavar: str
    text: str


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Read flags, then the environment. Exits with a message when a value is wrong."""
    parser = argparse.ArgumentParser(
        prog="carbonaware-agent",
        description="Measure this node's energy and attribute it to pods and their owners.",
        epilog="Each flag can also be set by the variable CARBONAWARE_<FLAG>, for example "
        "CARBONAWARE_STATE_DIR; the flag goes first. Commands with flags of their own: "
        "calibrate, fit, load.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    for flag in _FLAGS:
        variable = "CARBONAWARE_" + flag.name.upper().replace("-", "_")
        parser.add_argument(
            f"--{flag.name}",
            type=flag.kind,
            default=environment.get(variable) or flag.default,
            metavar=flag.metavar,
            help=flag.text + (f" (default: {flag.default})" if flag.default else ""),
        )
    values = vars(parser.parse_args(arguments))
    values["node_name"] = (
        values["node_name"] or environment.get("NODE_NAME") or socket.gethostname()
    )
    if not values["kubelet_url"] and environment.get("NODE_IP"):
        values["kubelet_url"] = _kubelet_at(environment["NODE_IP"])
    return Settings(**values)


def _kubelet_at(address: str) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"https://{host}:{kubelet.PORT}"


def _address(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} must be ADDRESS:PORT")
    return host.strip("[]"), int(port)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} must be above 0")
    return value


def _tick(text: str) -> float:
    value = _positive(text)
    # Sensors that show only power are not measured between readings farther apart.
    if value > LONGEST_TICK_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} must be {LONGEST_TICK_SECONDS} at most")
    return value


def _whole(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be at least 1 second")
    return value


def _yes_or_no(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} must be true or false")
    return text == "true"


def _https(text: str) -> str:
    # The agent's token is sent there.
    if not text.startswith("https://"):
        raise argparse.ArgumentTypeError(f"{text!r} must begin with https://")
    return text


def _log_level(text: str) -> str:
    if text not in _LOG_LEVELS:
        raise argparse.ArgumentTypeError(f"{text!r} must be one of {', '.join(_LOG_LEVELS)}")
    return text


def _idle_policy(text: str) -> IdlePolicy:
    try:
        return IdlePolicy(text)
    except ValueError:
        policies = ", ".join(IdlePolicy)
        raise argparse.ArgumentTypeError(f"{text!r} must be one of {policies}") from None


_FLAGS = (
    _Flag(
        "node-name",
        None,
        str,
        "NAME",
        "name of this node in the cluster; also NODE_NAME, else the host name",
    ),
    _Flag("host-root", "/", Path, "DIR", "folder that holds the host's proc and sys"),
    _Flag(
        "listen",
        "127.0.0.1:9102",
        _address,
        "ADDRESS:PORT",
        "where /metrics, /metrics/accounting, /healthz and /readyz are served",
    ),
    _Flag(
        "state-dir",
        "/var/lib/carbonaware-agent",
        Path,
        "DIR",
        "folder of the saved counters; one agent at a time",
    ),
    _Flag(
        "tick-seconds",
        "1",
        _tick,
        "S",
        f"time between two readings, at most {LONGEST_TICK_SECONDS}",
    ),
    _Flag(
        "accounting-period-seconds",
        "3600",
        _whole,
        "S",
        "length of an accounting period; must be the operator's",
    ),
    _Flag(
        "kubeconfig",
        None,
        Path,
        "FILE",
        "how to reach the API server, else as the service account of this pod",
    ),
    _Flag(
        "kubelet-url",
        None,
        _https,
        "URL",
        "this node's kubelet, whose list of pods stands in while the API server's cannot be had; "
        f"else, where NODE_IP is set, port {kubelet.PORT} there",
    ),
    _Flag(
        "kubelet-ca",
        None,
        Path,
        "FILE",
        "authority of kubelet's certificate, else the API server's",
    ),
    _Flag(
        "kubelet-insecure-skip-tls-verify",
        "false",
        _yes_or_no,
        "true|false",
        "send the agent's token to kubelet without checking its certificate",
    ),
    _Flag(
        "pod-resources-socket",
        None,
        Path,
        "FILE",
        "where kubelet tells who holds which GPU, else "
        "var/lib/kubelet/pod-resources/kubelet.sock in the host root",
    ),
    _Flag(
        "max-watts",
        None,
        _positive,
        "W",
        "maximum power of this machine at the wall, for where it has no counters",
    ),
    _Flag(
        "curves",
        None,
        Path,
        "DIR",
        "folder of power curves made by `carbonaware-agent calibrate`, a mounted ConfigMap",
    ),
    _Flag(
        "idle-watts",
        None,
        _positive,
        "W",
        "idle power of all packages together, else learned from quiet moments",
    ),
    _Flag(
        "idle-policy",
        "requests",
        _idle_policy,
        "POLICY",
        "who pays for idle power: requests, usage, equal or none",
    ),
    _Flag("log-level", "info", _log_level, "LEVEL", "debug, info, warning or error"),
)
