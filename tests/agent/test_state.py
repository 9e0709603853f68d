"""The saved state: form, order, crashes, damage, a full disk."""

import errno
import json
import os
from pathlib import Path

import pytest

from agent_builders import HOUR_US, AgentUnderTest, SimulatedMachine, a_pod_manifest, a_uid
from carbonaware_agent.attribution.shares import IdlePolicy
from carbonaware_agent.saved.journal import CLOSED_KEPT, RETENTION_US, Journal, Mark
from carbonaware_agent.saved.snapshot_format import Encoder, SnapshotUnreadableError, decode
from carbonaware_agent.saved.store import StateFolder, StateFolderInUseError
from carbonaware_agent.sources.sensor import Stream
from carbonaware_agent.workloads.pods import Owner

KEY = (Owner("ml", "Job", "j", "u"), Stream("package", "rapl", "chip"))
DAY_US = 24 * HOUR_US


@pytest.fixture
def machine():
    return SimulatedMachine()


@pytest.fixture
def agent(machine, tmp_path):
    return an_agent(machine, tmp_path)


def an_agent(machine: SimulatedMachine, folder: Path) -> AgentUnderTest:
    return AgentUnderTest(machine, folder, policy=IdlePolicy.NONE, idle_watts=0)


def work(agent: AgentUnderTest, *, seconds: float = 1, energy_uj: int = 1000) -> None:
    """Let the pod of job-1 use the node for a while."""
    if a_uid(1) not in agent.machine.pods:
        agent.machine.start(1)
    agent.know(a_pod_manifest(1))
    agent.machine.use(a_uid(1), 1000)
    agent.machine.draw(energy_uj, seconds=seconds)


def epochs(agent: AgentUnderTest) -> set[str]:
    return {record.epoch for record in agent.snapshot.series.values()}


class TestForm:
    def test_a_snapshot_reads_back_as_it_was(self, agent, machine):
        """Also while a domain cannot be read, and with pods that nobody described."""
        machine.start(2)
        work(agent)
        agent.tick()
        machine.sensors[0].value = None
        machine.use(a_uid(2), 50)
        machine.clock.advance(1)
        agent.meter.tick(machine.readings())

        assert agent.snapshot == decode(Encoder().encode(agent.snapshot))

    @pytest.mark.parametrize("at", [0, 5, 9, 40, -2])
    def test_a_changed_byte_is_noticed(self, agent, at):
        """The checksum covers everything."""
        content = bytearray(Encoder().encode(agent.snapshot))
        content[at] ^= 1

        with pytest.raises(SnapshotUnreadableError):
            decode(bytes(content))

    def test_kept_text_follows_every_change(self, agent, machine):
        """A save after many others holds what the first save of another encoder would."""
        kept = Encoder()
        for number in range(300):
            pod = machine.start(number)
            if number % 3:
                agent.know(a_pod_manifest(number))
            machine.use(pod, 1000)
            machine.draw(10**6, seconds=600)
            agent.meter.tick(machine.readings())
            machine.end(pod)
            assert decode(kept.encode(agent.snapshot)) == agent.snapshot

        # Most of those pods and owners are gone, and their text with them.
        assert len(kept.encode(agent.snapshot)) < 2 * len(Encoder().encode(agent.snapshot))

    def test_another_version_is_not_guessed_at(self, agent, monkeypatch):
        """An older agent does not read what a newer one wrote."""
        monkeypatch.setattr("carbonaware_agent.saved.snapshot_format._VERSION", 99)
        content = Encoder().encode(agent.snapshot)
        monkeypatch.undo()

        with pytest.raises(SnapshotUnreadableError, match="version 99"):
            decode(content)

    def test_250_pods_stay_below_100_kilobytes(self, agent, machine):
        """The file is written every second."""
        for number in range(250):
            machine.use(machine.start(number), 10_000)
            agent.know(a_pod_manifest(number))
        machine.draw(10**9)
        agent.tick()

        assert len(Encoder().encode(agent.snapshot)) < 100_000


class TestFolder:
    def test_one_agent_holds_it(self, agent, tmp_path):
        """Two would overwrite each other's counters."""
        with pytest.raises(StateFolderInUseError, match="in use"):
            StateFolder(tmp_path, HOUR_US)

    @pytest.mark.parametrize("damage", [b"", b"deadbeef\n{", None])
    def test_damaged_state_begins_new_epochs(self, agent, machine, tmp_path, damage):
        """It is set aside, told of, and what was marked stays readable."""
        work(agent, seconds=7200)
        agent.tick()
        marked, before = agent.marks(), epochs(agent)
        agent.kill()
        for file in tmp_path.glob("state*.json"):
            file.write_bytes(file.read_bytes()[:-20] if damage is None else damage)
        agent = an_agent(machine, tmp_path)
        work(agent)
        agent.tick()

        assert not agent.folder.restored
        assert (tmp_path / "state.json.damaged").exists()
        assert before.isdisjoint(epochs(agent))
        assert marked.items() <= agent.marks().items()
        assert {"job-1": 1000} == agent.owner_energy()

    def test_a_first_start_is_not_damage(self, agent):
        """Nothing was lost."""
        assert agent.folder.restored

    def test_it_is_synced_every_minute_and_at_the_end(self, agent, machine, monkeypatch):
        """A power loss costs at most 60 s."""
        synced: list[int] = []
        monkeypatch.setattr(os, "fsync", synced.append)
        for _ in range(120):
            machine.draw(0)
            agent.tick()
        # The file and its folder, each time.
        assert 4 == len(synced)

        agent.folder.save(agent.snapshot, sync=True)
        assert 6 == len(synced)


class TestCrashes:
    @pytest.mark.parametrize("seconds", [1, 60], ids=["overwriting", "replacing"])
    def test_a_crash_while_saving_keeps_the_last_snapshot(
        self, agent, machine, tmp_path, monkeypatch, seconds
    ):
        """What was not saved whole was not exposed, and is counted again."""
        work(agent)
        agent.tick()
        exposed = agent.accounting()
        work(agent, seconds=seconds)
        FullDisk(monkeypatch, tmp_path, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            agent.tick()
        monkeypatch.undo()
        assert exposed == agent.accounting()

        agent.kill()
        agent = an_agent(machine, tmp_path)
        assert exposed == agent.accounting()
        agent.tick()
        assert {"job-1": 2000} == agent.owner_energy()

    @pytest.mark.parametrize("torn", ["state.json", "state.0.json", "state.1.json"])
    def test_any_one_torn_file_leaves_a_whole_one(self, agent, machine, tmp_path, torn):
        """The newest that is whole is at most a tick old, or a minute when the power was lost."""
        for _ in range(3):
            work(agent)
            agent.tick()
        agent.kill()
        file = tmp_path / torn
        file.write_bytes(file.read_bytes()[:100])
        agent = an_agent(machine, tmp_path)
        agent.tick()

        assert agent.folder.restored
        assert {"job-1": 3000} == agent.owner_energy()

    def test_a_crash_between_saving_and_exposing_shows_the_saved(self, agent, machine, tmp_path):
        """The next agent goes on from the file."""
        work(agent)
        agent.meter.tick(machine.readings())
        agent.folder.save(agent.snapshot)
        agent.kill()
        agent = an_agent(machine, tmp_path)
        agent.tick()

        assert {"job-1": 1000} == agent.owner_energy()

    def test_marks_ahead_of_the_snapshot_are_dropped(self, agent, machine, tmp_path):
        """A tick that closed a period and was cut off before its snapshot closes it again."""
        work(agent)
        agent.tick()
        epoch = epochs(agent)
        work(agent, seconds=3600, energy_uj=3600)
        agent.meter.tick(machine.readings())
        agent.folder.journal.save()
        agent.kill()
        work(agent, seconds=400, energy_uj=400)
        agent = an_agent(machine, tmp_path)
        assert {} == agent.marks()
        agent.tick()

        # 1000 uJ before, then 1 uJ a second from 101 s after the hour to its end.
        assert [1000 + 3499] == list(agent.marks().values())
        assert epoch == epochs(agent)

    def test_a_series_that_began_in_the_lost_tick_leaves_nothing(self, agent, machine, tmp_path):
        """Its energy is counted in the epoch that the next agent draws."""
        work(agent, seconds=7200, energy_uj=7200)
        agent.meter.tick(machine.readings())
        agent.folder.journal.save()
        agent.kill()
        agent = an_agent(machine, tmp_path)
        agent.know(a_pod_manifest(1))
        agent.tick()

        series = [name for name in agent.accounting() if "owner_energy_joules" in name]
        assert 1 == len(series)

    def test_a_torn_line_of_the_journal_is_dropped(self, agent, machine, tmp_path):
        """The lines before it stand."""
        work(agent, seconds=7200)
        agent.tick()
        marks = agent.marks()
        agent.kill()
        with (tmp_path / "marks.jsonl").open("ab") as file:
            file.write(b'["mark","0123')
        agent = an_agent(machine, tmp_path)

        assert marks == agent.marks()


class FullDisk:
    """Lets writes to the snapshot's files stop half way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, error: BaseException) -> None:
        self.full = True
        original = os.write

        def write(descriptor: int, content: bytes) -> int:
            ours = Path(f"/proc/self/fd/{descriptor}").resolve().is_relative_to(folder)
            if not (self.full and ours):
                return original(descriptor, content)
            original(descriptor, content[: len(content) // 2])
            raise error

        monkeypatch.setattr(os, "write", write)


class TestFullDisk:
    def test_nothing_is_lost_while_the_snapshot_cannot_be_saved(
        self, agent, machine, tmp_path, monkeypatch
    ):
        """Counting goes on in memory; the first save that works shows it all."""
        work(agent)
        agent.tick()
        exposed = agent.accounting()
        error = OSError(errno.ENOSPC, "No space left on device")
        disk = FullDisk(monkeypatch, tmp_path, error)
        for _ in range(3):
            work(agent)
            with pytest.raises(OSError, match="No space"):
                agent.tick()
        assert exposed == agent.accounting()

        disk.full = False
        work(agent)
        agent.tick()
        assert {"job-1": 5000} == agent.owner_energy()
        agent.kill()
        assert {"job-1": 5000} == an_agent(machine, tmp_path).owner_energy()

    def test_half_a_journal_line_is_taken_back(self, tmp_path, monkeypatch):
        """So that the next line does not continue it."""
        journal = Journal(tmp_path / "marks.jsonl", HOUR_US)
        journal.load(None, 0)
        before = (tmp_path / "marks.jsonl").read_bytes()
        journal.mark("e1", KEY, Mark(0, 5))
        monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            journal.save()
        monkeypatch.undo()
        assert before == (tmp_path / "marks.jsonl").read_bytes()

        journal.save()
        lines = (tmp_path / "marks.jsonl").read_text().splitlines()
        assert ["mark", "e1", 0, 5] == json.loads(lines[-1])


class TestRetention:
    def test_closed_series_stay_for_30_days(self, tmp_path):
        """Then the operator has settled them, or never will."""
        journal = Journal(tmp_path / "marks.jsonl", HOUR_US)
        journal.mark("old", KEY, Mark(0, 5))
        journal.close("old", KEY, 7, DAY_US)
        journal.compact(RETENTION_US + DAY_US)
        assert ["old"] == [epoch for epoch, _ in journal.histories()]

        journal.compact(RETENTION_US + DAY_US + 1)
        assert [] == journal.histories()

    def test_an_open_series_keeps_its_last_mark(self, tmp_path):
        """Later marks are read against it."""
        journal = Journal(tmp_path / "marks.jsonl", HOUR_US)
        journal.mark("open", KEY, Mark(0, 5))
        journal.mark("open", KEY, Mark(HOUR_US, 6))
        journal.compact(2 * RETENTION_US)

        ((_, history),) = journal.histories()
        assert [Mark(HOUR_US, 6)] == history.marks

    def test_at_most_ten_thousand_closed_series_are_kept(self, tmp_path):
        """The ones that closed last."""
        journal = Journal(tmp_path / "marks.jsonl", HOUR_US)
        for number in range(CLOSED_KEPT + 2):
            journal.close(f"e{number}", KEY, 1, number)
        journal.compact(CLOSED_KEPT)

        kept = {epoch for epoch, _ in journal.histories()}
        assert CLOSED_KEPT == len(kept)
        assert {"e0", "e1"}.isdisjoint(kept)

    def test_marks_of_another_period_length_are_dropped(self, machine, tmp_path):
        """They would be read as marks of the new length; totals go on."""
        agent = AgentUnderTest(machine, tmp_path, policy=IdlePolicy.NONE)
        work(agent, seconds=7200)
        agent.tick()
        assert agent.marks()
        agent.kill()
        agent = AgentUnderTest(machine, tmp_path, policy=IdlePolicy.NONE, period_us=60_000_000)

        assert {} == agent.marks()
        assert {"job-1": 1000} == agent.owner_energy()

    def test_the_file_is_written_anew_once_a_day(self, agent, machine, tmp_path):
        """So that it does not grow for ever."""
        journal = tmp_path / "marks.jsonl"
        for _ in range(3):
            work(agent, seconds=3600)
            agent.tick()
        inode = journal.stat().st_ino
        work(agent, seconds=86400)
        agent.tick()

        assert inode != journal.stat().st_ino
