"""No spec, annotation or child Job leads to a status that the API server refuses."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, a_child_body, a_job_body, a_refusal, an_outlook
from carbonaware_operator.api.job import CarbonAwareJobStatus
from carbonaware_operator.api.reasons import Annotation, ReleaseReason
from carbonaware_operator.planning.progress import Progress, advance
from carbonaware_operator.planning.rules import decide
from carbonaware_operator.quantities.instants import format_instant, parse_instant, writable
from carbonaware_operator.store.jobs import JobRecord, JobStore
from carbonaware_operator.store.status import progress_of, status_of

RIMS = [
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00+23:59",
    "2026-06-15T12:00:00.123456789Z",
    "2026-06-16T00:00:00-05:00",
    "2026-10-25T02:30:00+02:00",
    "8999-12-31T23:59:59-23:59",
    "8999-12-31T23:59:59.999Z",
]
DURATIONS = ["1ns", "1s", "24h", "8760h", "600000h", "2562047h", "0.5h", "1h30m", "99999999us"]
instants = st.sampled_from(RIMS)
server_times = st.sampled_from([NOON, *(writable(parse_instant(text)) for text in RIMS)])
durations = st.sampled_from(DURATIONS)
texts = st.text(max_size=40) | st.text("x", min_size=1000, max_size=40_000)
names = st.text("abc-", min_size=1, max_size=253)
words = st.sampled_from(ReleaseReason) | texts

times_of_day = st.sampled_from(["00:00", "02:30", "12:01", "23:59"])
time_zones = st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "Pacific/Kiritimati"])
days = st.lists(st.sampled_from(["Mon", "Sun"]), min_size=1, unique=True)
windows = st.fixed_dictionaries(
    {"start": times_of_day, "end": times_of_day}, optional={"timeZone": time_zones, "days": days}
)
latest_starts = (
    st.just({})
    | st.fixed_dictionaries({"maxDelay": durations})
    | st.fixed_dictionaries({"startBy": instants})
    | st.fixed_dictionaries({"finishBy": instants, "expectedDuration": durations})
)
schedules = st.tuples(
    latest_starts,
    st.fixed_dictionaries(
        {},
        optional={
            "strategy": st.sampled_from(["Threshold", "Immediate"]),
            "maxGramsPerKWh": st.sampled_from([0, 100, 5000]),
            "earliestStart": instants,
            "windows": st.lists(windows, max_size=3),
            "whenSignalMissing": st.sampled_from(["UseFallback", "Start", "Hold"]),
            "whenDeadlineReached": st.sampled_from(["Start", "Fail"]),
        },
    ),
).map(lambda parts: parts[0] | parts[1])


@st.composite
def jobs(draw):
    """A CarbonAwareJob that its CRD lets through."""
    token = draw(st.none() | texts)
    return a_job_body(
        created=draw(server_times),
        zone=draw(st.none() | names),
        schedule=draw(schedules),
        annotations={} if token is None else {Annotation.RELEASE_REQUESTED: token},
        suspend=draw(st.booleans()),
    )


@st.composite
def children(draw, job):
    """A child Job of it in any state, its annotations changed by anybody."""
    ended = draw(st.sampled_from([None, "Complete", "Failed", "Suspended"]))
    time = format_instant(draw(server_times))
    condition = {
        "type": ended,
        "status": "True",
        "lastTransitionTime": time,
        "message": draw(texts),
    }
    return a_child_body(
        job,
        created=draw(server_times),
        suspend=draw(st.booleans()),
        status={"conditions": [condition]} if ended else {},
        annotations={
            Annotation.RELEASE_REASON: draw(words),
            Annotation.RELEASE_BASIS: draw(words),
            Annotation.HANDLED_RELEASE_REQUEST: draw(texts),
        },
    )


def look(record: JobRecord, now, outlook) -> Progress:
    """The progress that the next look finds."""
    situation = record.situation(outlook, now)
    return advance(record.progress, situation, decide(situation))


@given(st.data())
def test_every_status_is_taken_and_read_back(data):
    """What users write is bounded on the way in: a status that is refused would never come."""
    body, store = data.draw(jobs()), JobStore()
    record = store.apply(body)
    moments = st.integers(0, 10**6) | st.sampled_from([-(10**9), 10**10, 10**11])
    for look_ahead in data.draw(st.lists(moments, min_size=1, max_size=3)):
        if data.draw(st.booleans()):
            store.apply_child(data.draw(children(body)))
        record.blocked = data.draw(st.none() | st.just(a_refusal(message="x" * 50_000)))
        outlook = data.draw(st.sampled_from([None, an_outlook(300), an_outlook(None)]))

        record.progress = look(record, NOON + timedelta(seconds=look_ahead), outlook)

        taken = CarbonAwareJobStatus.model_validate(status_of(record.progress))
        assert record.progress == progress_of(taken)
        if record.progress.ended:
            return
