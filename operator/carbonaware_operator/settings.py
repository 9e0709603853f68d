"""Settings of the operator: flags, each with an environment variable of the same name."""

import argparse
import math
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from carbonaware_operator.grid.egress import parse_host
from carbonaware_operator.grid.sources import PROVIDER_HOSTS
from carbonaware_operator.quantities.durations import DurationError, parse_duration
from carbonaware_operator.quantities.periods import HOUR_SECONDS

_LAST_PORT = 65535
_LONGEST_NAME = 253  # of an object in Kubernetes
_SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set from outside."""

    kubeconfig: str | None
    namespace: str
    listen: str
    identity: str
    lease_name: str
    default_zone: str | None
    default_max_delay: timedelta
    accounting_period_seconds: int
    accounting_interval_seconds: float
    agent_urls: tuple[str, ...]
    agent_service: str
    watch_namespaces: tuple[str, ...]
    allowed_provider_hosts: tuple[str, ...]
    allow_local_provider_addresses: bool
    recordings_folder: Path | None
    releases_per_second: float
    sweep_seconds: float
    log_level: str


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """Read flags and environment; exits with a message that names the flag when one is wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    return Settings(
        kubeconfig=given.kubeconfig or None,
        namespace=given.namespace or _own_namespace(),
        listen=given.listen,
        identity=given.identity or f"{socket.gethostname()}-{os.getpid()}",
        lease_name=given.lease_name,
        default_zone=given.default_zone or None,
        default_max_delay=given.default_max_delay,
        accounting_period_seconds=given.accounting_period_seconds,
        accounting_interval_seconds=given.accounting_interval_seconds,
        agent_urls=tuple(given.agent_url or _agent_urls_of_environment(parser)),
        agent_service=given.agent_service,
        watch_namespaces=given.watch_namespaces,
        allowed_provider_hosts=given.allowed_provider_hosts,
        allow_local_provider_addresses=given.allow_local_provider_addresses,
        recordings_folder=Path(given.recordings_folder) if given.recordings_folder else None,
        releases_per_second=given.releases_per_second,
        sweep_seconds=given.sweep_seconds,
        log_level=given.log_level,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="carbonaware-operator",
        description="Releases CarbonAwareJobs when the grid is clean and accounts for them."
        " Every flag can be given as an environment variable: CARBONAWARE_LISTEN for --listen.",
    )
    parser.add_argument("--version", action="version", version=version("carbonaware"))
    _add(parser, "--kubeconfig", "", "kubeconfig file; else $KUBECONFIG, else the pod's account")
    _add(parser, "--namespace", "", "the operator's own namespace: Secrets, archives, the Lease")
    _add(
        parser,
        "--listen",
        "127.0.0.1:8080",
        "HOST:PORT of /healthz, /readyz and /metrics",
        _address,
    )
    _add(parser, "--identity", "", "name of this replica in the Lease; else host name and pid")
    _add(parser, "--lease-name", "carbonaware-operator", "name of the Lease")
    _add(parser, "--default-zone", "", "CarbonZone of jobs that name none", _zone)
    _add(parser, "--default-max-delay", "24h", "latest start, from creation", _delay)
    _add_accounting(parser)
    _add_sources(parser)
    _add(
        parser,
        "--releases-per-second",
        "0",
        "how many jobs may start a second; 0 for as many as the API server takes",
        _not_negative,
    )
    _add(
        parser, "--sweep-seconds", "600", "seconds between comparisons with the cluster", _positive
    )
    _add(
        parser,
        "--watch-namespaces",
        "",
        "namespaces to look after jobs in, separated by commas; else all",
        _names,
    )
    _add(parser, "--log-level", "INFO", "DEBUG, INFO, WARNING or ERROR", _level)
    return parser


def _add_accounting(parser: argparse.ArgumentParser) -> None:
    _add(
        parser,
        "--accounting-period-seconds",
        str(HOUR_SECONDS),
        "length of an accounting period; the agents must be told the same",
        _positive_int,
    )
    _add(
        parser,
        "--accounting-interval-seconds",
        "60",
        "seconds between scrapes of agents",
        _positive,
    )
    _add(
        parser,
        "--agent-service",
        "carbonaware-agent",
        "Service in the operator's namespace through which the agents are found",
    )
    parser.add_argument(
        "--agent-url",
        action="append",
        type=_url,
        help="an agent to scrape, such as http://10.0.0.5:9102 (repeatable); agents behind"
        " --agent-service are found by themselves",
    )


def _add_sources(parser: argparse.ArgumentParser) -> None:
    _add(
        parser,
        "--allowed-provider-hosts",
        ",".join(PROVIDER_HOSTS),
        "HOST or HOST:PORT of providers that CarbonZones may name, with commas between them",
        _hosts,
    )
    _add(
        parser,
        "--allow-local-provider-addresses",
        "false",
        "true: providers may have loopback, link-local and metadata addresses",
        _boolean,
    )
    _add(
        parser,
        "--recordings-folder",
        "",
        "folder below which CarbonZones may name files of recordings; else they may name none",
    )


def _add(
    parser: argparse.ArgumentParser, flag: str, default: str, text: str, kind: object = str
) -> None:
    variable = "CARBONAWARE_" + flag.removeprefix("--").replace("-", "_").upper()
    shown = f" (default: {default})" if default else ""
    parser.add_argument(
        flag,
        default=os.environ.get(variable, default),
        type=kind,  # type: ignore[arg-type]  # argparse calls it with a string
        help=text + shown,
    )


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except DurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _zone(text: str) -> str:
    """A name that the status of every job can hold."""
    if len(text) > _LONGEST_NAME:
        raise argparse.ArgumentTypeError(f"must have at most {_LONGEST_NAME} characters")
    return text


def _delay(text: str) -> timedelta:
    """A duration as the status can show it."""
    delay = timedelta(seconds=int(_duration(text).total_seconds()))
    if not delay:
        raise argparse.ArgumentTypeError(f"must be at least 1s, not {text}")
    return delay


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:  # also refuses nan
        raise argparse.ArgumentTypeError(f"must be greater than 0, not {text}")
    return value


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {text}")
    return value


def _address(text: str) -> str:
    _, colon, port = text.rpartition(":")
    if not (colon and port.isdecimal() and int(port) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"must be HOST:PORT, not {text}")
    return text


def _hosts(text: str) -> tuple[str, ...]:
    try:
        return tuple(parse_host(entry) for entry in text.split(",") if entry.strip())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"must be true or false, not {text}")
    return text.lower() == "true"


def _positive_int(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"must be greater than 0, not {text}")
    return value


def _level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise argparse.ArgumentTypeError(f"must be DEBUG, INFO, WARNING or ERROR, not {text}")
    return text.upper()


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # the port is no number, or above the last one
        usable = False
    if not usable:
        raise argparse.ArgumentTypeError(f"must be http(s)://HOST[:PORT], not {text}")
    return text


def _agent_urls_of_environment(parser: argparse.ArgumentParser) -> list[str]:
    try:
        return [_url(text) for text in _words(os.environ.get("CARBONAWARE_AGENT_URL"))]
    except argparse.ArgumentTypeError as error:
        parser.error(f"CARBONAWARE_AGENT_URL: {error}")


def _words(text: str | None) -> list[str]:
    return text.split() if text else []


def _own_namespace() -> str:
    if _SERVICE_ACCOUNT_NAMESPACE.exists():
        return _SERVICE_ACCOUNT_NAMESPACE.read_text().strip()
    return "carbonaware-system"
