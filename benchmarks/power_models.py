"""How far power models are off: on servers at the wall, and on processors by RAPL.

`specpower_servers.txt` holds eleven measured loads of 67 servers of 2017 and later. Each model
may know of a server what a site would know, and predicts the loads that it was not told.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from carbonaware_agent.calibration.cross_validation import predicted
from carbonaware_agent.calibration.models import PowerRow, fits
from carbonaware_agent.calibration.scores import Score, score
from carbonaware_agent.sources.curve import PowerCurve
from carbonaware_agent.sources.model import SHAPE, share_of_maximum

SERVERS = Path(__file__).with_name("specpower_servers.txt")
PROCESSORS = Path(__file__).with_name("rapl_loads.txt")
_TENTHS = range(11)
# No model below is told the power at these loads.
_HELD_OUT = (2, 3, 4, 6, 7, 9)
# A shape may be learned from servers since then: older ones draw more without load.
_RECENT = 2019


@dataclass(frozen=True, slots=True)
class Server:
    """One result. watts: at a load of 0, 10 .. 100 %. design_watts: of all chips together."""

    year: int
    name: str
    design_watts: float
    watts: tuple[float, ...]

    def curve(self, *tenths: int) -> PowerCurve:
        """Straight lines between the measured loads of those tenths."""
        return PowerCurve([(tenth / 10, self.watts[tenth]) for tenth in tenths])


Model = Callable[[Server, float], float]


def servers() -> list[Server]:
    """All servers of the table."""
    found = []
    for year, system, processor, chips, design, watts in _table(SERVERS):
        found.append(
            Server(
                int(year),
                f"{system}, {processor}",
                int(chips) * float(design),
                tuple(map(float, watts.split())),
            )
        )
    return found


def median_shape(of: Sequence[Server]) -> PowerCurve:
    """Power over maximum power by load, in the median of some servers."""
    return PowerCurve(
        [(tenth / 10, median(s.watts[tenth] / s.watts[10] for s in of)) for tenth in _TENTHS]
    )


def models(known: Sequence[Server]) -> dict[str, Model]:
    """Each model by its name. known: the servers that shapes may be learned from."""

    def other_shape(server: Server, load: float) -> float:
        others = [other for other in known if other is not server and other.year >= _RECENT]
        return server.watts[10] * median_shape(others).watts(load)

    return {
        "curve of five points: 0, 10, 50, 80, 100 %": lambda s, u: s.curve(0, 1, 5, 8, 10).watts(u),
        "curve of four points: 0, 10, 50, 100 %": lambda s, u: s.curve(0, 1, 5, 10).watts(u),
        "line from idle to maximum": lambda s, u: s.curve(0, 10).watts(u),
        "shape (the agent's) x maximum": lambda s, u: s.watts[10] * share_of_maximum(u),
        "shape of the other servers x maximum": other_shape,
        "design power x shape (the agent's)": lambda s, u: s.design_watts * share_of_maximum(u),
        "line from 0 to maximum": lambda s, u: s.watts[10] * u,
        "line from 0 to design power": lambda s, u: s.design_watts * u,
        "maximum x (0.1 + 0.9 load^3)": lambda s, u: s.watts[10] * (0.1 + 0.9 * u**3),
        "design power x (0.1 + 0.9 load^3)": lambda s, u: s.design_watts * (0.1 + 0.9 * u**3),
    }


def judged(model: Model, of: Sequence[Server], tenths: Sequence[int]) -> Score:
    """A model's score over all servers at some loads."""
    pairs = [(server, tenth) for server in of for tenth in tenths]
    return score(
        [server.watts[tenth] for server, tenth in pairs],
        [model(server, tenth / 10) for server, tenth in pairs],
    )


def main() -> None:
    """Print the tables."""
    print("\n".join([*_wall(servers()), "", *_chip()]))


def _wall(of: Sequence[Server]) -> Iterator[str]:
    yield f"{len(of)} servers of SPECpower_ssj2008 since 2017, wall power of the whole server."
    yield "Held out: 20, 30, 40, 60, 70, 90 % load, of which no model is told the power."
    yield ""
    yield f"{'model':44}{'MAPE held out':>14}{'R2 held out':>13}{'MAPE all':>10}{'MAE W all':>11}"
    for name, model in models(of).items():
        held_out, total = judged(model, of, _HELD_OUT), judged(model, of, _TENTHS)
        yield (
            f"{name:44}{held_out.error_ratio:14.1%}{held_out.r_squared:13.3f}"
            f"{total.error_ratio:10.1%}{total.error_watts:11.1f}"
        )
    recent = [server for server in of if server.year >= _RECENT]
    shape = " ".join(f"{share:.2f}" for _, share in median_shape(recent).points)
    yield ""
    yield f"median shape of the {len(recent)} servers since {_RECENT}: {shape}"
    yield f"shape of the agent:{' '.join(f'{share:.2f}' for share in SHAPE):>79}"


def _chip() -> Iterator[str]:
    """Each model of `carbonaware-agent fit` on each processor, by the mean over processors."""
    errors: dict[str, list[float]] = {}
    for _, design, pairs in _table(PROCESSORS):
        rows = [
            PowerRow(float(u) / 100, float(w)) for u, w in (p.split(":") for p in pairs.split())
        ]
        for name, fit in fits(float(design)).items():
            guesses = predicted(fit, rows)
            errors.setdefault(name, []).append(
                score([row.watts for row in rows], guesses).error_ratio
            )
    yield "5 processors by RAPL (recorded by CodeCarbon), 10 loads each, no idle; leave-one-out."
    yield ""
    yield f"{'model':44}{'MAPE':>14}{'best':>8}{'worst':>8}"
    for name, each in errors.items():
        yield f"{name:44}{fmean(each):14.1%}{min(each):8.1%}{max(each):8.1%}"


def _table(file: Path) -> Iterator[list[str]]:
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            yield [field.strip() for field in line.split("|")]


if __name__ == "__main__":
    main()
