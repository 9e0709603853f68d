"""What is written to a status is read back as the same progress."""

from dataclasses import fields
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from builders import NOON
from carbonaware_operator.api.job import (
    CarbonAwareJobStatus,
    Strategy,
    WhenDeadlineReached,
    WhenSignalMissing,
)
from carbonaware_operator.api.reasons import ConditionType, HoldReason, State
from carbonaware_operator.planning.observed import Cause, Workload
from carbonaware_operator.planning.progress import Condition, Progress, in_order
from carbonaware_operator.planning.resolve import SETTINGS, Defaults, Source
from carbonaware_operator.store.status import progress_of, status_of

instants = st.integers(0, 10**8).map(lambda n: NOON + timedelta(seconds=n))
counts = st.integers(0, 2**40)
names = st.text("abc-", min_size=1, max_size=20)


def conditions_of(kind):
    """Any condition of a type."""
    return st.builds(
        Condition,
        st.just(kind),
        st.booleans(),
        st.sampled_from(HoldReason),
        names,
        instants,
        counts,
    )


defaults = st.builds(
    Defaults,
    st.just(Source.SETTINGS),
    zone_name=st.none() | names,
    strategy=st.none() | st.sampled_from(Strategy),
    max_delay=st.none() | st.integers(1, 2**30).map(lambda n: timedelta(seconds=n)),
    when_signal_missing=st.none() | st.sampled_from(WhenSignalMissing),
    when_deadline_reached=st.none() | st.sampled_from(WhenDeadlineReached),
)
progresses = st.builds(
    Progress,
    applied=st.lists(defaults, max_size=2).map(tuple),
    stalled=st.none() | instants,
    state=st.none() | st.sampled_from(State),
    reason=st.just("") | names,
    generation=st.none() | counts,
    zone_name=st.none() | names,
    deadline=st.none() | instants,
    conditions=st.lists(
        st.sampled_from(ConditionType).flatmap(conditions_of),
        max_size=4,
        unique_by=lambda condition: condition.type,
    ).map(in_order),
    planned_start=st.none() | instants,
    latest_start=st.none() | instants,
    workload=st.none() | st.builds(Workload, names, names, names, names),
    handled_request=st.none() | names,
    baseline_start=st.none() | instants,
    shifts=st.lists(st.tuples(instants, counts), max_size=3).map(tuple),
    suspended=st.none() | instants,
    released=st.none() | instants,
    finished=st.none() | instants,
    held_seconds=st.none() | counts,
    run_seconds=st.none() | counts,
)


class TestRoundTrip:
    @given(progresses)
    def test_loses_nothing(self, progress):
        """Else every look at a job would find something to write."""
        written = CarbonAwareJobStatus.model_validate(status_of(progress))

        assert progress == progress_of(written)

    @given(progresses, st.randoms())
    def test_does_not_depend_on_the_order_of_conditions(self, progress, random):
        """Conditions are a map to the API server, which promises no order."""
        status = status_of(progress)
        random.shuffle(status["conditions"])

        assert progress == progress_of(CarbonAwareJobStatus.model_validate(status))

    def test_an_empty_status_is_an_empty_progress(self):
        """A job seen for the first time."""
        assert Progress() == progress_of(CarbonAwareJobStatus())


class TestStatusOf:
    def test_leaves_out_what_is_not_known(self):
        """Null is not absent to an API server; a zero is neither."""
        assert {"conditions": [], "heldSeconds": 0} == status_of(Progress(held_seconds=0))

    def test_holds_every_field_of_the_progress(self):
        """What it leaves out would be deleted by the next apply."""
        full = Progress(
            state=State.HELD,
            reason="NoZone",
            generation=1,
            zone_name="de",
            deadline=NOON,
            applied=(SETTINGS,),
            stalled=NOON,
            planned_start=NOON,
            latest_start=NOON,
            workload=Workload("batch/v1", "Job", "a", "b"),
            handled_request="now-1",
            baseline_start=NOON,
            shifts=((NOON, 1),),
            suspended=NOON,
            suspended_by=Cause.USER,
            suspended_seconds=1,
            released=NOON,
            finished=NOON,
            held_seconds=1,
            run_seconds=1,
        )

        written = status_of(full)

        assert len(fields(Progress)) == len(written | written["plan"]) - 1  # `plan` itself

    def test_reads_what_a_newer_operator_filled_in_as_far_as_it_knows(self):
        """A strategy or a source of a later version must not make a job unreadable."""
        status = CarbonAwareJobStatus.model_validate(
            {
                "appliedDefaults": [
                    {"source": "Oracle", "strategy": "Wise"},
                    {"source": "Settings", "strategy": "Wise", "zoneName": "de"},
                ]
            }
        )

        assert (Defaults(Source.SETTINGS, zone_name="de"),) == progress_of(status).applied

    def test_ignores_conditions_of_others(self):
        """A type that this version does not know belongs to another writer."""
        foreign = {
            "type": "Audited",
            "status": "True",
            "reason": "Seen",
            "message": "",
            "lastTransitionTime": "2026-06-15T12:00:00Z",
        }
        status = CarbonAwareJobStatus.model_validate({"conditions": [foreign]})

        assert Progress() == progress_of(status)
