"""The roll call: which agents have answered, until when, and whether one may still have to."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta

from carbonaware_operator.quantities.instants import Instant

PATIENCE = timedelta(minutes=10)
"""An agent that has been silent for so long is taken for gone, with its node."""


@dataclass(slots=True)
class _Agent:
    """What is known of one agent.

    alive: on the monotonic clock, the last answer, or when the agent was first expected.
    time: of its last reading. told: up to where everything it had to tell is known.
    """

    alive: float
    node: str | None = None
    time: Instant | None = None
    told: Instant | None = None


@dataclass(slots=True)
class RollCall:
    """Agents by their address. Begins at `began` on the monotonic clock; times are in seconds."""

    began: float
    _agents: dict[str, _Agent] = field(default_factory=dict)

    def expect(self, addresses: AbstractSet[str], now: float) -> None:
        """These agents exist now; others are forgotten once patience with them is over."""
        for address in addresses:
            self._agents.setdefault(address, _Agent(alive=now))
        self._agents = {
            address: agent
            for address, agent in self._agents.items()
            if address in addresses or not _given_up(agent.alive, now)
        }

    def answered(self, address: str, node: str, time: Instant, now: float) -> None:
        """An agent gave a reading of its node taken at `time` by its own clock."""
        self._agents[address] = _Agent(alive=now, node=node, time=time, told=time)

    def ask(self, address: str, *, oldest: Instant, behind: Instant) -> Instant:
        """From when on an expected agent has to tell, because something may not be posted yet.

        An agent tells on from its last reading; one that has given none, from `oldest`, which is
        where the account that is furthest back stands. behind: from when on readings have not been
        posted to some account, because it is new or could not be written. Until an agent answers,
        what it is asked for never shrinks.
        """
        agent = self._agents[address]
        agent.told = min(agent.told or oldest, behind)
        return agent.told

    def complete(self, until: Instant, nodes: AbstractSet[str], now: float) -> bool:
        """True when no agent can have more to tell of the time before `until`.

        That is: each agent has given a reading of later than that, or has been silent for the
        length of patience. nodes: those that are known to have something to tell; they are waited
        for even if their agents have not been found since the roll call began.
        """
        heard = {agent.node for agent in self._agents.values()}
        anyone_missing = not self._agents or not nodes <= heard
        if anyone_missing and not _given_up(self.began, now):
            return False
        return all(
            (agent.time is not None and agent.time > until) or _given_up(agent.alive, now)
            for agent in self._agents.values()
        )


def _given_up(alive: float, now: float) -> bool:
    return now - alive >= PATIENCE.total_seconds()
