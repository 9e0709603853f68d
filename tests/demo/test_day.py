"""Which day of a file the demo plays, and with which limits."""

from datetime import UTC, datetime, timedelta

import pytest

from carbonaware_operator.grid.recording import read_series
from testbed.demo import day

DIRTY_THEN_CLEAN = [300] * 9 + [150] * 6 + [400] * 9
FLAT = [300] * 24


def a_file(folder, values, *, header="utc,grams", step=timedelta(hours=1)):
    """An hourly file of these values from a midnight on."""
    start = datetime(2022, 1, 1, tzinfo=UTC)
    rows = [f"{start + number * step:%Y-%m-%dT%H:%MZ},{v}" for number, v in enumerate(values)]
    path = folder / "grid.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


class TestTypicalDay:
    def test_gets_clean_after_ten_hours(self):
        """The threshold job is released about 50 s after the zone begins to play."""
        played = day.typical_day()

        first = next(h for h, grams in enumerate(played.grams) if grams <= played.clean_limit)

        assert 10 == first
        assert 10 == played.hour_at(50)

    def test_is_never_clean_enough_for_the_deadline_job(self):
        """Only its deadline may release it."""
        played = day.typical_day()

        assert min(played.grams) > played.dirty_limit

    def test_is_flat_while_the_immediate_job_runs(self):
        """A job that does not wait saves nothing, also where a second's delay is counted."""
        assert 1 == len(set(day.typical_day().grams[:7]))

    def test_begins_again_after_its_last_hour(self):
        """The demo plays a little longer than a day."""
        assert 1 == day.typical_day().hour_at(25 * day.HOUR_SECONDS)

    def test_is_a_recording_that_the_operator_reads(self):
        """The CSV of the ConfigMap is in the form that CarbonZone documents."""
        played = day.typical_day()

        series = read_series(played.csv(), None, origin="day.csv")

        assert [round(grams * 1000) for grams in played.grams] == list(series.values)
        assert timedelta(hours=1) == series.step


class TestChoosingADay:
    def test_takes_the_first_day_that_gets_clean_in_time(self, tmp_path):
        """Days without a crossing after 8 to 14 hours are passed over."""
        played = day.from_file(a_file(tmp_path, FLAT + DIRTY_THEN_CLEAN + FLAT))

        assert "grid.csv, 2022-01-02 00:00" == played.title
        assert 9 == next(h for h, v in enumerate(played.grams) if v <= played.clean_limit)

    def test_puts_the_other_limit_far_below(self, tmp_path):
        """A third of the cleanest hour is never reached."""
        assert 50 == day.from_file(a_file(tmp_path, DIRTY_THEN_CLEAN)).dirty_limit

    def test_begins_at_another_hour_where_no_midnight_fits(self, tmp_path):
        """In another time zone the sun rises at another hour of the file."""
        played = day.from_file(a_file(tmp_path, [400] * 20 + [150] * 6 + [400] * 22))

        assert 8 <= next(h for h, v in enumerate(played.grams) if v <= played.clean_limit) <= 14

    def test_takes_the_named_column(self, tmp_path):
        """The first numeric column after the time is only the default."""
        path = tmp_path / "two.csv"
        rows = [f"2022-01-01T{h:02}:00Z,name,1,{v}" for h, v in enumerate(DIRTY_THEN_CLEAN)]
        path.write_text("\n".join(["utc,label,direct,lifecycle", *rows]))

        assert tuple(DIRTY_THEN_CLEAN) == day.from_file(path, "lifecycle").grams
        assert 1 == day.read_hours(path)[0].grams

    def test_passes_over_days_with_empty_cells(self, tmp_path):
        """A gap would stop the recording."""
        gap = [*DIRTY_THEN_CLEAN[:5], "", *DIRTY_THEN_CLEAN[6:]]

        played = day.from_file(a_file(tmp_path, gap + DIRTY_THEN_CLEAN))

        assert "2022-01-02" in played.title


class TestRefusingAFile:
    def test_names_file_line_and_column_of_a_bad_cell(self, tmp_path):
        """What must be corrected can be found."""
        path = a_file(tmp_path, [300, "much", 300])

        with pytest.raises(day.TraceError, match=r"grid.csv, line 3, column grams: .*'much'"):
            day.from_file(path)

    @pytest.mark.parametrize("value", [-1, 5001, "nan", "inf"])
    def test_refuses_what_is_no_intensity(self, tmp_path, value):
        """The bounds are those of the API."""
        with pytest.raises(day.TraceError, match="line 3"):
            day.from_file(a_file(tmp_path, [300, value, 300]))

    def test_names_the_line_of_a_bad_time(self, tmp_path):
        """The first column is the time."""
        path = tmp_path / "grid.csv"
        path.write_text("utc,grams\nyesterday,300\n")

        with pytest.raises(day.TraceError, match="line 2, column utc: must be a time"):
            day.from_file(path)

    def test_lists_the_columns_when_the_named_one_is_missing(self, tmp_path):
        """The time is not offered."""
        with pytest.raises(day.TraceError, match="'lca'; it must be one of grams"):
            day.from_file(a_file(tmp_path, FLAT), "lca")

    @pytest.mark.parametrize(
        ("values", "step", "message"),
        [
            (FLAT, timedelta(minutes=30), "an hour apart"),
            (FLAT[:12], timedelta(hours=1), "24 rows"),
            (FLAT, timedelta(hours=1), "on no day"),
            ([], timedelta(hours=1), "column names"),
        ],
    )
    def test_says_why_no_day_can_be_played(self, tmp_path, values, step, message):
        """Half-hourly files, short files and grids that never change cannot show the waiting."""
        with pytest.raises(day.TraceError, match=message):
            day.from_file(a_file(tmp_path, values, step=step))

    def test_refuses_a_file_that_does_not_exist(self, tmp_path):
        """The message names it."""
        with pytest.raises(day.TraceError, match=r"absent\.csv: cannot be read"):
            day.from_file(tmp_path / "absent.csv")
