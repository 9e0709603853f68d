"""Agent and operator share metric names and nothing else; here one reads what the other shows."""

from datetime import UTC, datetime

from agent_builders import HOUR, AgentUnderTest, SimulatedMachine, a_pod_manifest, a_uid
from carbonaware_agent.serving import families
from carbonaware_operator.accounting import samples


def test_both_name_the_metrics_alike():
    """A renamed metric would be read as no energy."""
    shown = (
        families.SAMPLE_TIMESTAMP.name,
        families.ACCOUNTING_PERIOD.name,
        families.OWNER_ENERGY.name,
        families.OWNER_MARK.name,
    )

    assert shown == (
        samples.TIME_METRIC,
        samples.PERIOD_METRIC,
        samples.ENERGY_METRIC,
        samples.MARK_METRIC,
    )


def test_the_operator_reads_the_agents_page(tmp_path):
    """To the microjoule, whatever the owner is called, with marks and closed series."""
    machine = SimulatedMachine()
    agent = AgentUnderTest(machine, tmp_path, idle_watts=0)
    machine.start(1)
    agent.know(a_pod_manifest(1, owner=('J"b', "a\\b", "line\nend")))
    for seconds in (3600, 12):
        machine.use(a_uid(1), 5)
        machine.draw(12_345_678, seconds=seconds)
        agent.tick()
    agent.kill()
    machine.boot_id = "another"
    agent = AgentUnderTest(machine, tmp_path, idle_watts=0)
    agent.know(a_pod_manifest(2))
    machine.use(machine.start(2), 5)
    machine.draw(1)
    agent.tick()

    reading = samples.parse_reading(
        (agent.board.accounting(0) or b"").decode(), period_seconds=3600
    )

    assert "n1" == reading.node
    assert datetime.fromtimestamp(HOUR + 3713, UTC) == reading.time
    begun, closed = reading.series
    assert ('J"b', "a\\b", "line\nend") == (
        closed.owner_kind,
        closed.owner_name,
        closed.owner_uid,
    )
    assert (1, 24_691_356) == (begun.microjoules, closed.microjoules)
    assert ((datetime.fromtimestamp(HOUR, UTC), 12_002_743),) == closed.marks
