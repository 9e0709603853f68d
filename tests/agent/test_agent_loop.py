"""The loop: readings that fail, saves that fail, ticks that come late."""

import json
import logging
import threading

import pytest

from agent_builders import HOUR_US, FakeClock, FakeSensor, HostTree, a_uid, micro, samples
from carbonaware_agent.agent import Agent, Surroundings
from carbonaware_agent.attribution.shares import IdlePolicy
from carbonaware_agent.logs import JsonFormatter
from carbonaware_agent.metering.meter import Meter, Rules
from carbonaware_agent.metering.owners import OwnerSeries
from carbonaware_agent.metering.resumption import Machine, resume
from carbonaware_agent.readings import Reader
from carbonaware_agent.saved.store import StateFolder
from carbonaware_agent.serving.board import Board
from carbonaware_agent.settings import parse
from carbonaware_agent.sources.cpu_time import CpuTime
from carbonaware_agent.sources.sensor_set import SensorSet
from carbonaware_agent.workloads.cgroups import Cgroups
from carbonaware_agent.workloads.pods import PodDirectory

NODE_ENERGY = (
    'carbonaware_node_energy_joules_total{domain="package-0",source="rapl",boundary="chip"}'
)


class Running:
    """An agent on a host tree, with a clock and a sensor that a test moves."""

    def __init__(self, folder) -> None:
        self.tree = HostTree(folder / "host")
        self.tree.cgroup("kubepods", 0)
        self.tree.cgroup(f"kubepods/pod{a_uid(1)}", 0)
        self.clock = FakeClock()
        self.sensor = FakeSensor()
        self.folder = StateFolder(folder / "state", HOUR_US)
        now = (self.clock.boottime_us(), self.clock.wall_us())
        machine = Machine("boot", "cpu", *now, HOUR_US, [("package-0", "rapl")])
        snapshot, begun = resume(
            self.folder.load(self.clock.wall_us()), self.folder.journal, machine
        )
        owners = OwnerSeries(snapshot, self.folder.journal)
        self.board = Board("n1", self.folder.journal)
        root = self.tree.root
        self.agent = Agent(
            self.clock,
            Reader(
                self.clock,
                CpuTime(root / "proc"),
                SensorSet([lambda: self.sensor], model=lambda: None, now_us=now[0]),
                Cgroups(root / "sys/fs/cgroup"),
            ),
            Meter(snapshot, owners, PodDirectory(), Rules(2, IdlePolicy.REQUESTS)),
            snapshot,
            self.folder,
            self.board,
            Surroundings(collectors={"pods": lambda: True}, model_errors={}),
            begun=begun,
        )

    def draw(self, microjoules: int) -> None:
        """Let a second pass."""
        assert self.sensor.value is not None
        self.sensor.value += microjoules
        self.clock.advance(1)

    def shown(self) -> dict[str, str]:
        """Values on /metrics."""
        return samples((self.board.metrics() or b"").decode())

    def success(self, collector: str) -> str:
        """How a collector did."""
        return self.shown()[f'carbonaware_agent_collector_success{{collector="{collector}"}}']


@pytest.fixture
def running(tmp_path):
    return Running(tmp_path)


class TestTick:
    def test_the_first_one_is_a_baseline(self, running):
        """What was drawn before the agent is not counted."""
        running.sensor.value = 10**9
        running.agent.tick()

        assert "0.000000" == running.shown()[NODE_ENERGY]

    def test_pods_that_cannot_be_read_put_counting_off(self, running):
        """The next tick covers the time, so nothing is billed to the system by mistake."""
        running.agent.tick()
        usage = running.tree.root / f"sys/fs/cgroup/kubepods/pod{a_uid(1)}/cpu.stat"
        usage.write_text("")
        running.draw(1000)
        running.agent.tick()
        assert ("0", "0.000000") == (running.success("cgroups"), running.shown()[NODE_ENERGY])

        running.tree.cgroup(f"kubepods/pod{a_uid(1)}", 500)
        running.draw(1000)
        running.agent.tick()
        running.agent.tick()
        attributed = (
            'carbonaware_node_attributed_joules_total{domain="package",component="dynamic"}'
        )
        assert ("1", "0.002000") == (running.success("cgroups"), running.shown()[attributed])

    def test_a_pod_without_a_descriptor_left_for_it_is_the_systems(self, running, monkeypatch):
        """The others are measured on, nothing is lost, and the collector says so."""
        running.agent.tick()
        running.tree.cgroup(f"kubepods/pod{a_uid(1)}", 100_000)
        running.tree.cgroup(f"kubepods/pod{a_uid(2)}", 300_000)
        running.tree.busy(40)
        running.draw(4000)
        with monkeypatch.context() as patch:
            patch.setattr("carbonaware_agent.kept_file._LEFT_FREE", 10**9)
            running.agent.tick()
        attributed = 'carbonaware_node_attributed_joules_total{domain="package",component="'
        split = [running.shown()[f'{attributed}{part}"}}'] for part in ("dynamic", "system")]
        assert ("0", ["0.001000", "0.003000"]) == (running.success("cgroups"), split)

        running.draw(0)
        running.agent.tick()
        assert "1" == running.success("cgroups")

    def test_a_failed_sensor_is_told(self, running):
        """And the others are read on."""
        running.agent.tick()
        running.sensor.value = None
        running.clock.advance(1)
        running.agent.tick()

        assert ("0", "1") == (running.success("rapl"), running.success("cpu"))

    def test_exposure_freezes_while_state_cannot_be_saved(self, running, monkeypatch):
        """The collector says so beside the last values that were saved."""
        running.agent.tick()
        with monkeypatch.context() as patch:
            patch.setattr(
                "carbonaware_agent.saved.snapshot_format.Encoder.encode",
                lambda *_: (_ for _ in ()).throw(OSError("disk full")),
            )
            running.draw(1000)
            running.agent.tick()
            assert ("0", "0.000000") == (running.success("state"), running.shown()[NODE_ENERGY])

        running.draw(1000)
        running.agent.tick()
        assert ("1", "0.002000") == (running.success("state"), running.shown()[NODE_ENERGY])

    def test_it_is_alive_while_ticks_come(self, running):
        """A minute without one is too long."""
        running.agent.tick()
        assert running.agent.alive()

        running.clock.advance(61)
        assert not running.agent.alive()


class StopAfter(threading.Event):
    """Lets some waits pass as time on a fake clock, then says stop."""

    def __init__(self, clock: FakeClock, waits: int, late: float = 0) -> None:
        super().__init__()
        self.waited: list[float] = []
        self._clock, self._left, self._late = clock, waits, late

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time pass."""
        assert timeout is not None
        self.waited.append(round(timeout, 6))
        self._clock.advance(timeout + self._late)
        self._left -= 1
        if self._left == 0:
            self.set()
        return self.is_set()


class TestRun:
    def test_ticks_do_not_drift(self, running):
        """A late tick shortens the wait for the next."""
        stop = StopAfter(running.clock, 4, late=0.25)
        running.agent.run(stop, 1_000_000)

        assert [1.0, 0.75, 0.75, 0.75] == stop.waited
        assert 0 == micro(running.shown()["carbonaware_agent_tick_lag_seconds"])

    def test_missed_ticks_are_skipped(self, running):
        """After a standstill there is one tick, not many at once."""
        stop = StopAfter(running.clock, 3, late=2.5)
        running.agent.run(stop, 1_000_000)

        assert [1.0, 0.5, 0.5] == stop.waited

    def test_the_last_tick_is_on_disk(self, running, monkeypatch):
        """An agent that is told to end loses nothing, even if power is lost next."""
        synced: list[int] = []
        monkeypatch.setattr("os.fsync", synced.append)
        stop = StopAfter(running.clock, 1)
        stop.set()
        running.agent.run(stop, 1_000_000)

        assert 2 == len(synced)


class TestSettings:
    def test_flags_go_before_the_environment(self, tmp_path):
        """And that before what is built in."""
        environment = {"CARBONAWARE_TICK_SECONDS": "5", "CARBONAWARE_IDLE_POLICY": "equal"}
        settings = parse(["--tick-seconds", "2", "--state-dir", str(tmp_path)], environment)

        assert (2, IdlePolicy.EQUAL, tmp_path) == (
            settings.tick_seconds,
            settings.idle_policy,
            settings.state_dir,
        )
        assert (("127.0.0.1", 9102), 3600) == (settings.listen, settings.accounting_period_seconds)

    def test_the_downward_api_names_the_node(self):
        """NODE_NAME is what charts usually set."""
        assert "n7" == parse([], {"NODE_NAME": "n7"}).node_name
        assert "n8" == parse(["--node-name", "n8"], {"NODE_NAME": "n7"}).node_name

    @pytest.mark.parametrize(
        ("flag", "value"),
        [
            ("--listen", "9102"),
            ("--listen", "127.0.0.1:99999"),
            ("--tick-seconds", "0"),
            ("--tick-seconds", "5.1"),
            ("--accounting-period-seconds", "0"),
            ("--max-watts", "-5"),
            ("--idle-policy", "fair"),
            ("--log-level", "loud"),
        ],
    )
    @pytest.mark.parametrize("by_environment", [True, False])
    def test_a_wrong_value_is_named(self, flag, value, by_environment, capsys):
        """The process ends before it measures anything."""
        variable = "CARBONAWARE_" + flag[2:].upper().replace("-", "_")
        with pytest.raises(SystemExit):
            parse(
                [] if by_environment else [flag, value], {variable: value} if by_environment else {}
            )

        assert flag in capsys.readouterr().err

    def test_help_names_every_setting(self, capsys):
        """With its default."""
        with pytest.raises(SystemExit):
            parse(["--help"], {})

        text = capsys.readouterr().out
        assert "--host-root DIR" in text
        assert "(default: 127.0.0.1:9102)" in text


def test_logs_are_one_json_object_a_line():
    """Constant event text, and fields."""
    record = logging.makeLogRecord({"msg": "gap", "levelname": "WARNING", "domain": "package-0"})
    line = JsonFormatter().format(record)

    fields = json.loads(line)
    assert ("gap", "warning", "package-0") == (fields["event"], fields["level"], fields["domain"])
    assert "\n" not in line
