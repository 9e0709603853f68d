"""Scenarios drawn by chance: what nobody thought of putting into a table."""

import random

from conformance.curves import HIGH, LOW, MEDIAN
from conformance.scenario import (
    NOTHING,
    RANGE_AMD_UJ,
    Course,
    Knowledge,
    Machine,
    Pod,
    Scenario,
    Span,
    bursts,
    steady,
)

_SECONDS = 120


def scenario_by_chance(seed: int) -> Scenario:
    """A node on which much happens; the same for the same seed.

    Counters may be unreadable early and agents killed later, never both at once: an agent that
    starts while no counter can be read has a model stand in, and so cannot be exact.
    """
    chance = random.Random(seed)
    unreadable = (4.0, 4.0 + chance.choice((0, 1, 5, 15)))
    return Scenario(
        f"seed {seed}",
        tuple(_pod(chance, number) for number in range(chance.randrange(1, 9))),
        seconds=_SECONDS,
        machine=Machine(
            curve=chance.choice((LOW, MEDIAN, HIGH)),
            sockets=chance.choice((1, 2)),
            dram_watts=chance.choice((None, (10.0, 30.0))),
            range_uj=RANGE_AMD_UJ,
            begin_uj=RANGE_AMD_UJ - chance.randrange(10**9, 2 * 10**10),
            tells_maximum=chance.random() < 0.7,
        ),
        knowledge=chance.choice((Knowledge.CALIBRATED, Knowledge.LEARNED, Knowledge.ESTIMATED)),
        unreadable=(unreadable,),
        failing=chance.choice(("", "package-0")),
        killed=_kills(chance),
        hour_at=chance.choice((3000.0, 30.0, 61.0)),
    )


def _pod(chance: random.Random, number: int) -> Pod:
    begin = chance.choice((0.0, chance.randrange(4 * _SECONDS) / 4))
    cores = chance.random() * 1.9
    courses: tuple[Course, ...] = (
        NOTHING,
        steady(cores),
        bursts(cores, every=chance.choice((1, 3, 7)), lasting=chance.choice((0.25, 0.5, 1.0))),
    )
    return Pod(
        f"pod-{number}",
        chance.choice(courses),
        begin=begin,
        end=chance.choice((None, begin + chance.randrange(1, 4 * _SECONDS) / 4)),
        request=chance.choice((0, 100, 2000)),
        memory_gib=chance.choice((0, 1, 20)),
        qos=chance.choice(("guaranteed", "burstable", "besteffort")),
    )


def _kills(chance: random.Random) -> tuple[Span, ...]:
    kills = []
    second = 25
    while second < _SECONDS - 30 and chance.random() < 0.6:
        again = second + chance.randrange(1, 20)
        kills.append((float(second), float(again)))
        second = again + chance.randrange(2, 30)
    return tuple(kills)
