"""The rules: what each says, their order, and what holds whatever the input."""

from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from builders import (
    NEXT_NOON,
    NOON,
    a_child,
    a_held_job,
    a_refusal,
    a_window,
    an_outlook,
    hours,
    minutes,
    some_windows,
)
from carbonaware_operator.api.job import Strategy, WhenDeadlineReached, WhenSignalMissing
from carbonaware_operator.api.reasons import EndReason, HoldReason, ReleaseReason
from carbonaware_operator.planning import rules
from carbonaware_operator.planning.decision import (
    Basis,
    Continue,
    Decision,
    Hold,
    Release,
    Resume,
    Suspend,
)
from carbonaware_operator.planning.observed import Cause, Ending, Workload
from carbonaware_operator.planning.outlook import Outlook
from carbonaware_operator.planning.rules import HELD, STARTED, findings
from carbonaware_operator.planning.situation import Job, Situation, latest_start
from carbonaware_operator.planning.windows import ALWAYS
from carbonaware_operator.quantities.instants import Instant

EVENING = some_windows(a_window("20:00", "22:00"))
OPENS, LAST = NOON + hours(8), NOON + hours(10) - minutes(1)
REFUSED = a_refusal(HoldReason.INVALID_WORKLOAD, "`jobTemplate` is not a valid Job", final=True)
FULL = a_refusal(retry=NOON + minutes(1))
DENIED = a_refusal(HoldReason.INVALID_WORKLOAD, "the API server refuses", retry=NOON + hours(48))
ENDED = a_child(ending=Ending(NOON, True, "the child Job completed"))
NOTED = Workload("batch/v1", "Job", "train", "child-uid")
DIRTY = 600


def decide(job: Job, outlook: Outlook | None, now: Instant) -> Decision:
    """What the rules say of a job."""
    return rules.decide(Situation(job, outlook, now))


def spoken(decision: Decision) -> object:
    """What a decision says: its reason, else its type."""
    return getattr(decision, "reason", type(decision))


RULES = {
    "a job that nothing holds back starts": (
        a_held_job(), an_outlook(300), NOON, ReleaseReason.INTENSITY_ACCEPTABLE),
    "1: the user's suspension holds it": (
        a_held_job(suspend=True), an_outlook(), NOON, HoldReason.SUSPENDED_BY_USER),
    "1: the user's suspension stands before their request to start": (
        a_held_job(suspend=True, release_requested=True), an_outlook(), NOON,
        HoldReason.SUSPENDED_BY_USER),
    "1: the user's suspension stands before the deadline": (
        a_held_job(suspend=True, deadline=NOON), an_outlook(), NOON, HoldReason.SUSPENDED_BY_USER),
    "2: a refused workload stands before the request to start": (
        a_held_job(blocked=REFUSED, release_requested=True), an_outlook(), NOON,
        HoldReason.INVALID_WORKLOAD),
    "2: a workload that is refused for good stands before the deadline": (
        a_held_job(blocked=REFUSED, deadline=NOON), an_outlook(), NOON,
        HoldReason.INVALID_WORKLOAD),
    "2: any other refusal is asked about again at the latest start, whatever was said": (
        a_held_job(blocked=DENIED), an_outlook(DIRTY), NEXT_NOON,
        ReleaseReason.DEADLINE_REACHED),
    "2: so is one that somebody else was to end": (
        a_held_job(blocked=a_refusal(), max_grams=1), an_outlook(DIRTY), NEXT_NOON,
        ReleaseReason.DEADLINE_REACHED),
    "2: until then it holds": (
        a_held_job(blocked=DENIED), an_outlook(), NEXT_NOON - minutes(1),
        HoldReason.INVALID_WORKLOAD),
    "2: refused at the latest start, it holds until it is tried again": (
        a_held_job(blocked=a_refusal(retry=NEXT_NOON + minutes(5), since=NEXT_NOON)),
        an_outlook(), NEXT_NOON + minutes(4), HoldReason.QUOTA_EXCEEDED),
    "2: the latest start is the last one inside a window": (
        a_held_job(blocked=DENIED, windows=EVENING), an_outlook(DIRTY), LAST,
        ReleaseReason.DEADLINE_REACHED),
    "2: a full quota holds until it is tried again": (
        a_held_job(blocked=FULL), an_outlook(), NOON, HoldReason.QUOTA_EXCEEDED),
    "2: then it is tried again": (
        a_held_job(blocked=FULL), an_outlook(), NOON + minutes(1),
        ReleaseReason.INTENSITY_ACCEPTABLE),
    "3: a request to start stands before earliestStart": (
        a_held_job(release_requested=True, earliest_start=NEXT_NOON), an_outlook(), NOON,
        ReleaseReason.RELEASED_BY_USER),
    "3: a request to start needs no zone": (
        a_held_job(release_requested=True), None, NOON, ReleaseReason.RELEASED_BY_USER),
    "4: earliestStart holds": (
        a_held_job(earliest_start=NOON + hours(1)), an_outlook(), NOON,
        HoldReason.BEFORE_EARLIEST_START),
    "4: earliestStart stands before a deadline that came earlier": (
        a_held_job(earliest_start=NOON + hours(1), deadline=NOON), an_outlook(), NOON,
        HoldReason.BEFORE_EARLIEST_START),
    "4: at earliestStart it no longer holds": (
        a_held_job(earliest_start=NOON), an_outlook(), NOON, ReleaseReason.INTENSITY_ACCEPTABLE),
    "5: at the deadline the job starts, however dirty the grid": (
        a_held_job(deadline=NOON, max_grams=100), an_outlook(DIRTY), NOON,
        ReleaseReason.DEADLINE_REACHED),
    "5: at the deadline the job fails if it says so": (
        a_held_job(deadline=NOON, when_deadline_reached=WhenDeadlineReached.FAIL),
        an_outlook(), NOON, EndReason.DEADLINE_MISSED),
    "5: the latest start is the last one inside a window": (
        a_held_job(windows=EVENING, max_grams=100), an_outlook(DIRTY), LAST,
        ReleaseReason.DEADLINE_REACHED),
    "5: without a window before the deadline the latest start is now": (
        a_held_job(windows=EVENING, deadline=NOON + hours(2), max_grams=100), an_outlook(DIRTY),
        NOON, ReleaseReason.DEADLINE_REACHED),
    "5: a deadline long past, as after an outage, starts the job": (
        a_held_job(deadline=NOON - hours(9)), an_outlook(DIRTY), NOON,
        ReleaseReason.DEADLINE_REACHED),
    "5: the deadline stands before a missing zone, so that none strands a job": (
        a_held_job(deadline=NOON), None, NOON, ReleaseReason.DEADLINE_REACHED),
    "6: a zone that does not exist holds, inside and outside windows": (
        a_held_job(windows=EVENING), None, NOON, HoldReason.NO_ZONE),
    "6: a job without any zone is held": (
        a_held_job(zone_name=None), None, NOON, HoldReason.NO_ZONE),
    "6: an Immediate job needs none": (
        a_held_job(zone_name=None, strategy=Strategy.IMMEDIATE), None, NOON,
        ReleaseReason.IMMEDIATE),
    "6: nor does it need one outside its windows": (
        a_held_job(zone_name=None, strategy=Strategy.IMMEDIATE, windows=EVENING), None, NOON,
        HoldReason.OUTSIDE_WINDOW),
    "7: outside every window it is held, however clean the grid": (
        a_held_job(windows=EVENING, preferred_grams=400), an_outlook(0), NOON,
        HoldReason.OUTSIDE_WINDOW),
    "7: outside every window it is held, though Immediate": (
        a_held_job(windows=EVENING, strategy=Strategy.IMMEDIATE), an_outlook(), NOON,
        HoldReason.OUTSIDE_WINDOW),
    "7: outside every window it is held, though it starts without signal": (
        a_held_job(windows=EVENING, when_signal_missing=WhenSignalMissing.START),
        an_outlook(None), NOON, HoldReason.OUTSIDE_WINDOW),
    "8: Immediate asks no grid": (
        a_held_job(strategy=Strategy.IMMEDIATE, max_grams=100), an_outlook(DIRTY), NOON,
        ReleaseReason.IMMEDIATE),
    "8: without a signal it starts if it says Start": (
        a_held_job(when_signal_missing=WhenSignalMissing.START), an_outlook(None), NOON,
        ReleaseReason.SIGNAL_MISSING),
    "8: without a signal it is held if it says Hold": (
        a_held_job(when_signal_missing=WhenSignalMissing.HOLD), an_outlook(None), NOON,
        HoldReason.SIGNAL_MISSING),
    "8: without a signal a clean fallback starts it": (
        a_held_job(max_grams=400), an_outlook(None, fallback=200), NOON,
        ReleaseReason.INTENSITY_ACCEPTABLE),
    "8: without a signal a dirty fallback holds it": (
        a_held_job(max_grams=400), an_outlook(None, fallback=473), NOON,
        HoldReason.ABOVE_MAX_INTENSITY),
    "9: at its preferred intensity it starts": (
        a_held_job(preferred_grams=180, max_grams=400), an_outlook(180), NOON,
        ReleaseReason.INTENSITY_PREFERRED),
    "9: at its limit it starts": (
        a_held_job(preferred_grams=180, max_grams=400), an_outlook(400), NOON,
        ReleaseReason.INTENSITY_ACCEPTABLE),
    "9: a milligram above its limit it is held": (
        a_held_job(max_grams=400), an_outlook(400.001), NOON, HoldReason.ABOVE_MAX_INTENSITY),
    "a running job goes on, however dirty the grid": (
        a_held_job(child=a_child(), max_grams=1), an_outlook(DIRTY), NOON, Continue),
    "a running job that its user suspends is stopped": (
        a_held_job(child=a_child(), suspend=True), an_outlook(), NOON, Suspend),
    "a suspension of the user that somebody has just lifted is not repeated at once": (
        a_held_job(child=a_child(suspended_since=NOON), suspend=True), an_outlook(),
        NOON + minutes(0.9), HoldReason.SUSPENDED_BY_USER),
    "and is repeated a minute later": (
        a_held_job(child=a_child(suspended_since=NOON), suspend=True), an_outlook(),
        NOON + minutes(1), Suspend),
    "a job that somebody else suspended is left alone": (
        a_held_job(child=a_child(suspended_by=Cause.OTHER)), an_outlook(), NOON,
        HoldReason.SUSPENDED_BY_OTHER),
    "a suspended job stays so while its user wants it": (
        a_held_job(child=a_child(suspended_by=Cause.USER), suspend=True), an_outlook(), NOON,
        HoldReason.SUSPENDED_BY_USER),
    "a suspended job resumes at once, outside windows and however dirty the grid": (
        a_held_job(child=a_child(suspended_by=Cause.USER), windows=EVENING, max_grams=1),
        an_outlook(DIRTY), NOON, Resume),
    "a job whose child is gone has failed, whatever else is said of it": (
        a_held_job(noted=NOTED, suspend=True, deadline=NOON), an_outlook(), NOON,
        EndReason.WORKLOAD_DELETED),
    "another object of its name is not its child": (
        a_held_job(noted=NOTED, child=a_child(uid="another")), an_outlook(), NOON,
        EndReason.WORKLOAD_DELETED),
    "its own child goes on": (
        a_held_job(noted=NOTED, child=a_child()), an_outlook(), NOON, Continue),
    "a job whose child has ended is left alone, though its user suspends it": (
        a_held_job(child=ENDED, suspend=True), an_outlook(), NOON, Continue),
}  # fmt: skip


class TestRules:
    @pytest.mark.parametrize(("job", "outlook", "now", "expected"), RULES.values(), ids=RULES)
    def test_says(self, job, outlook, now, expected):
        """The first rule that speaks wins."""
        assert expected == spoken(decide(job, outlook, now))


class TestReview:
    """When to look again, if nothing but time passes."""

    @pytest.mark.parametrize(
        ("job", "outlook", "expected"),
        [
            pytest.param(
                a_held_job(suspend=True), an_outlook(), None, id="never, while the user suspends it"
            ),
            pytest.param(
                a_held_job(blocked=FULL), an_outlook(), FULL.retry, id="when a refusal is retried"
            ),
            pytest.param(
                a_held_job(blocked=DENIED), an_outlook(), NEXT_NOON, id="or at the latest start"
            ),
            pytest.param(
                a_held_job(blocked=REFUSED), an_outlook(), None, id="never, of a refusal for good"
            ),
            pytest.param(
                a_held_job(earliest_start=OPENS), an_outlook(), OPENS, id="at earliestStart"
            ),
            pytest.param(a_held_job(), None, NEXT_NOON, id="without zone: at the latest start"),
            pytest.param(
                a_held_job(windows=EVENING), an_outlook(), OPENS, id="when the window opens"
            ),
            pytest.param(
                a_held_job(max_grams=1), an_outlook(), NEXT_NOON, id="above: at the latest start"
            ),
        ],
    )
    def test_is_the_next_instant_that_may_change_something(self, job, outlook, expected):
        """The boundary heap sleeps until then."""
        assert expected == decide(job, outlook, NOON).review

    def test_is_the_closing_when_another_window_comes(self):
        """Above its limit inside a window, a job is outside once that closes."""
        job = a_held_job(windows=EVENING, max_grams=1, deadline=NOON + hours(48))

        assert NOON + hours(10) == decide(job, an_outlook(), NOON + hours(9)).review


class TestUntil:
    """The start that `status.plan` shows."""

    @pytest.mark.parametrize(
        ("job", "outlook"),
        [
            pytest.param(a_held_job(max_grams=1), an_outlook(), id="above its limit"),
            pytest.param(a_held_job(), None, id="without zone"),
        ],
    )
    def test_is_the_latest_start(self, job, outlook):
        """Held by the grid, a job starts at the latest start at the latest."""
        assert NEXT_NOON == decide(job, outlook, NOON).until

    @pytest.mark.parametrize(
        ("schedule", "outlook"),
        [
            pytest.param({"max_grams": 1}, an_outlook(), id="above its limit"),
            pytest.param({}, None, id="without zone"),
        ],
    )
    def test_is_unknown_for_a_job_that_fails_at_its_deadline(self, schedule, outlook):
        """What would fail then is not announced as a start."""
        job = a_held_job(when_deadline_reached=WhenDeadlineReached.FAIL, **schedule)

        assert None is decide(job, outlook, NOON).until


class TestMessages:
    def test_a_hold_says_the_same_on_the_fallback(self):
        """Which value is in use may change and decide nothing: the zone says it, and explain."""
        job = a_held_job(max_grams=400)

        assert decide(job, an_outlook(None), NOON) == decide(job, an_outlook(500), NOON)

    def test_a_failure_says_what_to_change(self):
        """The message names the fields that would have let the job start."""
        job = a_held_job(deadline=NOON, when_deadline_reached=WhenDeadlineReached.FAIL)

        assert "higher `maxGramsPerKWh`" in decide(job, an_outlook(), NOON).message


grams = st.integers(0, 800)
moments = st.integers(0, 60 * 60).map(lambda n: NOON + timedelta(minutes=n))
window_lists = st.sampled_from(
    [
        ALWAYS,
        EVENING,
        some_windows(a_window("22:00", "06:00", "Europe/Berlin", "Mon", "Tue")),
        some_windows(a_window("13:00", "13:01"), a_window("02:00", "05:00", "America/New_York")),
    ]
)
outlooks = st.none() | st.builds(an_outlook, st.none() | grams, fallback=grams)
blocks = st.none() | st.sampled_from([REFUSED, FULL, DENIED])


@st.composite
def held_jobs(draw, **fixed: object) -> Job:
    """A held job of any kind."""
    fields = {
        "suspend": st.booleans(),
        "release_requested": st.booleans(),
        "blocked": blocks,
        "strategy": st.sampled_from(Strategy),
        "max_grams": st.none() | grams,
        "preferred_grams": st.none() | grams,
        "earliest_start": st.none() | moments,
        "deadline": moments,
        "windows": window_lists,
        "when_signal_missing": st.sampled_from(WhenSignalMissing),
        "when_deadline_reached": st.sampled_from(WhenDeadlineReached),
    }
    drawn = {name: draw(field) for name, field in fields.items() if name not in fixed}
    return a_held_job(**drawn, **fixed)


class TestProperties:
    @given(held_jobs(release_requested=False), outlooks, moments)
    def test_starts_outside_windows_only_when_none_is_left(self, job, outlook, now):
        """Only a deadline without a window before it starts a job outside its windows."""
        decision = decide(job, outlook, now)
        windows = job.schedule.windows

        assert (
            not isinstance(decision, Release)
            or windows.contains(now)
            or latest_start(job.schedule, now) == now
        )

    @given(held_jobs(suspend=False), outlooks, moments)
    def test_is_not_held_at_its_latest_start(self, job, outlook, now):
        """A deadline always wins over carbon: beyond it lies earliestStart, and a refusal since."""
        decision = decide(job, outlook, now)
        assume(now >= latest_start(job.schedule, now))
        last = job.schedule.last_start or job.schedule.deadline

        assert (
            not isinstance(decision, Hold)
            or decision.reason is HoldReason.BEFORE_EARLIEST_START
            or (job.blocked is not None and (job.blocked.final or job.blocked.since >= last))
        )

    @given(held_jobs(), outlooks, moments)
    def test_looks_again_in_the_future(self, job, outlook, now):
        """A review that has passed would make the planner turn in circles."""
        decision = decide(job, outlook, now)

        assert not isinstance(decision, Hold) or decision.review is None or now < decision.review

    @given(held_jobs(), outlooks, moments, st.lists(st.floats(0, 1, exclude_max=True), max_size=8))
    def test_does_not_change_before_its_review(self, job, outlook, now, parts):
        """As long as the inputs stay, the time before the review changes nothing, not a word."""
        decision = decide(job, outlook, now)
        assume(isinstance(decision, Hold))
        horizon = (decision.review or now + hours(72)) - now - timedelta.resolution

        assert {decision} == {decide(job, outlook, now + horizon * part) for part in [0, *parts]}

    @given(held_jobs(suspend=False), outlooks, moments)
    def test_ends_in_finite_time(self, job, outlook, now):
        """Followed from review to review, every job that may ever start does, or fails."""
        assume(job.blocked is None or not (job.blocked.final or job.blocked.retry is None))
        for _ in range(50):
            decision = decide(job, outlook, now)
            if not isinstance(decision, Hold):
                return
            assert decision.review is not None
            now = decision.review
        pytest.fail("still held after 50 reviews")

    @given(held_jobs(child=a_child(), suspend=False), outlooks, moments)
    def test_a_clock_that_steps_back_releases_nothing_twice(self, job, outlook, now):
        """Once there is a child, no instant leads to another release."""
        assert Continue() == decide(job, outlook, now)


class TestBasis:
    @pytest.mark.parametrize(
        ("job", "outlook", "basis"),
        [
            (a_held_job(max_grams=400), an_outlook(300), Basis.SIGNAL),
            (a_held_job(max_grams=400), an_outlook(None, fallback=300), Basis.FALLBACK),
            (a_held_job(preferred_grams=400), an_outlook(None, fallback=300), Basis.FALLBACK),
            (a_held_job(preferred_grams=400), an_outlook(300), Basis.SIGNAL),
            (a_held_job(deadline=NOON), None, Basis.DEADLINE),
            (a_held_job(release_requested=True), None, Basis.USER),
            (a_held_job(strategy=Strategy.IMMEDIATE), None, Basis.SCHEDULE),
            (
                a_held_job(when_signal_missing=WhenSignalMissing.START),
                an_outlook(None),
                Basis.SCHEDULE,
            ),
        ],
    )
    def test_is_what_the_start_rests_on(self, job, outlook, basis):
        """Whoever reads why a job was started can tell a fallback from a measurement."""
        assert basis is decide(job, outlook, NOON).basis


class TestFindings:
    @given(held_jobs(), outlooks, moments)
    def test_are_the_decision_taken_apart(self, job, outlook, now):
        """The first that speaks is what the operator does; those before say nothing."""
        situation = Situation(job, outlook, now)

        found = findings(situation)

        assert [rule.name for rule in HELD] == [finding.rule for finding in found]
        (spoken,) = [f for f in found if f.decision is not None]
        assert rules.decide(situation) == spoken.decision
        decided = found.index(spoken)
        assert [n <= decided for n in range(len(found))] == [f.asked for f in found]

    @given(held_jobs(child=a_child(), noted=NOTED), outlooks, moments)
    def test_of_a_started_job_are_those_of_its_run(self, job, outlook, now):
        """Nothing of the grid is asked of it."""
        found = findings(Situation(job, outlook, now))

        assert [rule.name for rule in STARTED] == [finding.rule for finding in found]
