"""The roll call: a job is not settled while an agent may still have to tell of it."""

from accounting_fakes import MIDNIGHT, hours
from carbonaware_operator.accounting.rollcall import PATIENCE, RollCall

END = MIDNIGHT + hours(12)
LATER = END + hours(0.001)
LONG = PATIENCE.total_seconds()


def a_call(*addresses: str) -> RollCall:
    """A roll call that begins at 0 and expects these agents."""
    call = RollCall(began=0)
    call.expect(set(addresses), 0)
    return call


class TestComplete:
    def test_when_all_have_answered_after_the_end(self) -> None:
        """Every agent has had its say."""
        call = a_call("a", "b")
        call.answered("a", "n1", LATER, 1)
        call.answered("b", "n2", LATER, 1)

        assert call.complete(END, {"n1"}, 1)

    def test_not_while_one_has_answered_only_before_the_end(self) -> None:
        """The last seconds of a pod are in the next reading."""
        call = a_call("a", "b")
        call.answered("a", "n1", LATER, 1)
        call.answered("b", "n2", END, 1)

        assert not call.complete(END, set(), 1)

    def test_not_while_one_is_silent_until_patience_is_over(self) -> None:
        """An agent that restarts is waited for; one that is gone is not."""
        call = a_call("a", "b")
        call.answered("a", "n1", LATER, LONG)

        assert not call.complete(END, set(), LONG - 1)
        assert call.complete(END, set(), LONG)

    def test_not_at_once_without_any_agent(self) -> None:
        """An operator that has just started knows nobody yet."""
        call = a_call()

        assert not call.complete(END, set(), 1)
        assert call.complete(END, set(), LONG)

    def test_not_while_a_node_of_the_job_has_never_been_heard(self) -> None:
        """A node whose agent is not found yet may still come."""
        call = a_call("a")
        call.answered("a", "n1", LATER, 1)

        assert not call.complete(END, {"n2"}, 1)
        call.answered("a", "n1", LATER, LONG)
        assert call.complete(END, {"n2"}, LONG)

    def test_waits_for_an_agent_that_is_not_found_any_more(self) -> None:
        """A restarting agent drops out of the Service for a while, with what it has to tell."""
        call = a_call("a", "b")
        call.expect({"a"}, 5)
        call.answered("a", "n1", LATER, 5)

        assert not call.complete(END, set(), 6)
        call.expect({"a"}, LONG)
        assert call.complete(END, set(), LONG)


class TestAsk:
    def test_begins_where_the_oldest_account_stands(self) -> None:
        """Nothing is known of what the agent has told before."""
        assert END == a_call("a").ask("a", oldest=END, behind=LATER)

    def test_goes_on_from_the_last_reading(self) -> None:
        """All of a reading has been posted."""
        call = a_call("a")
        call.answered("a", "n1", LATER, 1)

        assert LATER == call.ask("a", oldest=END, behind=LATER + hours(1))

    def test_goes_back_to_an_account_that_is_behind(self) -> None:
        """A job that is new, or could not be written, needs earlier marks."""
        call = a_call("a")
        call.answered("a", "n1", LATER, 1)

        assert END == call.ask("a", oldest=MIDNIGHT, behind=END)

    def test_does_not_shrink_while_an_agent_is_silent(self) -> None:
        """Accounts go on without it, but what it alone knows is still to be told."""
        call = a_call("a")
        call.ask("a", oldest=END, behind=LATER)

        assert END == call.ask("a", oldest=LATER, behind=LATER)
