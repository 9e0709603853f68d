"""The state file says at any moment what runs."""

from testbed.process import ProcessId
from testbed.state import ClusterState, Component, load, save


def a_state():
    """A cluster with one running and one stopped component."""
    return ClusterState(
        name="mine",
        slot=3,
        boot="b",
        node_kind="simulated",
        node_name="mine-node",
        server="https://127.0.0.1:1",
        components=[
            Component("etcd", ["/bin/etcd", "--x"], process=ProcessId(7, 1234)),
            Component("kwok", ["/bin/kwok"], {"A": "b"}),
        ],
        sysctls={"kernel/panic": "0"},
        created=["/var/lib/cni"],
    )


class TestStateFile:
    def test_what_is_saved_is_loaded(self, tmp_path):
        """Nothing is lost on the way."""
        save(a_state(), tmp_path)

        assert load(tmp_path) == a_state()

    def test_an_interrupted_save_leaves_the_former_state(self, tmp_path):
        """A half-written file is never taken for the state."""
        save(a_state(), tmp_path)
        (tmp_path / ".state.json.unfinished").write_text('{"name": "mi')

        assert load(tmp_path) == a_state()

    def test_a_folder_without_state_has_none(self, tmp_path):
        """It is not an error to ask for a cluster that is not there."""
        assert load(tmp_path / "absent") is None
