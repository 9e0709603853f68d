"""A recorded series, read and played."""

import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from carbonaware_operator.grid.errors import SignalMalformed, SignalMisconfigured
from carbonaware_operator.grid.recording import (
    MAX_BYTES,
    MAX_POINTS,
    Recording,
    Series,
    read_file,
    read_series,
)

CREATED = datetime(2026, 6, 15, 12, 0, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
DATA = Path(os.environ.get("CARBONAWARE_DATA", Path(__file__).parents[2].parent / "shared/data"))

TEXT = """\
# Germany, shortened
utc,direct_g_per_kwh,lca_g_per_kwh
2022-01-01T00:00Z,163.46,213.79
# a comment in between

2022-01-01T01:00Z,166.66,218.0
2022-01-01T02:00Z,170,220.5
"""


def a_recording(*grams: int, speed: int = 1, loop: bool = False, step: timedelta = HOUR):
    series = Series("g", step, tuple(1000 * g for g in grams))
    return Recording(series, CREATED, speed, loop)


def at(seconds: float) -> datetime:
    return CREATED + timedelta(seconds=seconds)


def current(recording: Recording, now: datetime) -> int | None:
    points = recording.points(now, now)
    return points[-1].intensity // 1000 if points else None


class TestReadSeries:
    def test_takes_the_named_column(self):
        """The column is chosen by its name, and values are kept to the milligram."""
        series = read_series(TEXT, "lca_g_per_kwh", origin="de.csv")

        assert Series("lca_g_per_kwh", HOUR, (213_790, 218_000, 220_500)) == series

    def test_takes_the_second_column_by_default(self):
        """Without a name it is the column after the instants."""
        assert (163_460, 166_660, 170_000) == read_series(TEXT, None, origin="de.csv").values

    def test_reads_what_a_spreadsheet_writes(self):
        """A byte-order mark, quotes and carriage returns do no harm."""
        text = '\ufeffutc,"g, lca"\r\n2022-01-01T00:00Z,"1"\r\n2022-01-01T01:00Z,"2"\r\n'

        assert (1000, 2000) == read_series(text, "g, lca", origin="x").values

    @pytest.mark.parametrize(
        ("text", "where"),
        [
            ("utc,g\n2022-01-01T00:00Z,1\n2022-01-01T01:00Z,\n", "line 3, column 'g'"),
            ("utc,g\n2022-01-01T00:00Z,1\n2022-01-01T01:00Z\n", "line 3, column 'g'"),
            ("utc,g\n2022-01-01T00:00Z,x\n", "line 2, column 'g'"),
            ("utc,g\n2022-01-01T00:00Z,nan\n", "line 2, column 'g'"),
            ("utc,g\n2022-01-01T00:00Z,-1\n", "line 2, column 'g'"),
            ("utc,g\n2022-01-01T00:00Z,5001\n", "line 2, column 'g'"),
            ("#\nutc,g\n2022-01-01T00:00,1\n", "line 3, first column"),
            ("utc,g\nnoon,1\n", "line 2, first column"),
            (
                "utc,g\n2022-01-01T00:00Z,1\n2022-01-01T01:00Z,1\n2022-01-01T03:00Z,1\n",
                "line 4, first column",
            ),
            ("utc,g\n2022-01-01T01:00Z,1\n2022-01-01T00:00Z,1\n", "line 3, first column"),
            ("utc,g\n2022-01-01T00:00Z,1\n2022-01-01T00:00Z,1\n", "line 3, first column"),
            ('utc,g\n"2022-01-01T00:00Z,1\n', "line 2: must be comma-separated"),
            ("utc,g\n2022-01-01T00:00Z,1\n", "at least two rows"),
            ("utc,g\n", "at least two rows"),
        ],
    )
    def test_says_where_a_row_is_wrong(self, text: str, where: str):
        """A bad row is named by its line and column."""
        with pytest.raises(SignalMalformed, match=where):
            read_series(text, "g", origin="x.csv")

    @pytest.mark.parametrize("text", ["", "# nothing\n", "utc\n2022-01-01T00:00Z\n", "utc,h\n"])
    def test_says_which_column_is_missing(self, text: str):
        """A column that is not there is the configuration's fault."""
        with pytest.raises(SignalMisconfigured, match=r"x\.csv must have a column 'g'"):
            read_series(text, "g", origin="x.csv")

    @pytest.mark.parametrize("column", [None, "password"])
    def test_never_repeats_what_is_in_the_text(self, column: str | None):
        """Someone may name a file of secrets: messages, and what they stem from, hold no cell."""
        text = "hunter1,hunter2\nhunter3,hunter4\n2022-01-01T00:00Z,hunter5"

        with pytest.raises((SignalMalformed, SignalMisconfigured)) as caught:
            read_series(text, column, origin="x.csv")

        assert "hunter" not in str(caught.value)
        assert caught.value.__cause__ is None


class TestReadFile:
    def test_says_that_a_file_is_missing(self, tmp_path: Path):
        """A file that does not exist is named."""
        with pytest.raises(SignalMisconfigured, match=r"none\.csv does not exist"):
            read_file("none.csv", tmp_path)

    def test_refuses_a_folder(self, tmp_path: Path):
        """It has no text."""
        (tmp_path / "day.csv").mkdir()

        with pytest.raises(SignalMisconfigured, match="must be readable"):
            read_file("day.csv", tmp_path)

    def test_refuses_a_pipe_at_once(self, tmp_path: Path):
        """Nobody writes to it: a reader that waits would hold its thread for ever."""
        os.mkfifo(tmp_path / "pipe")

        with pytest.raises(SignalMisconfigured, match="must be a regular file"):
            read_file("pipe", tmp_path)

    def test_reads_what_a_mounted_config_map_links_to(self, tmp_path: Path):
        """Kubelet mounts files as links within the folder; a path may be absolute or not."""
        (tmp_path / "..data").mkdir()
        (tmp_path / "..data" / "day.csv").write_text("a")
        (tmp_path / "day.csv").symlink_to("..data/day.csv")

        assert ["a", "a"] == [
            read_file(path, tmp_path) for path in ("day.csv", str(tmp_path / "day.csv"))
        ]

    @pytest.mark.parametrize("path", ["../key", "link", "/etc/hostname", ".."])
    def test_refuses_what_lies_elsewhere(self, tmp_path: Path, path: str):
        """Whoever writes a zone must not have the operator open its token, or a device."""
        folder = tmp_path / "recordings"
        folder.mkdir()
        (tmp_path / "key").write_text("hunter2")
        (folder / "link").symlink_to(tmp_path / "key")

        with pytest.raises(SignalMisconfigured, match="must lie below"):
            read_file(path, folder)

    def test_refuses_links_in_a_circle(self, tmp_path: Path):
        """They lead nowhere."""
        (tmp_path / "a").symlink_to("a")

        with pytest.raises(SignalMisconfigured, match="must be readable"):
            read_file("a", tmp_path)

    def test_refuses_what_is_too_long(self, tmp_path: Path):
        """A sparse file of any size would fill the memory."""
        with (tmp_path / "long").open("wb") as file:
            file.truncate(MAX_BYTES + 1)

        with pytest.raises(SignalMisconfigured, match="must be at most"):
            read_file("long", tmp_path)

    def test_refuses_every_file_without_a_folder(self, tmp_path: Path):
        """It is the administrator who says where recordings lie."""
        (tmp_path / "day.csv").write_text("a")

        with pytest.raises(SignalMisconfigured, match="--recordings-folder"):
            read_file(str(tmp_path / "day.csv"), None)

    def test_refuses_what_is_not_text(self, tmp_path: Path):
        """Bytes that are no UTF-8 are refused."""
        (tmp_path / "x").write_bytes(b"\xff\xfe")

        with pytest.raises(SignalMalformed, match="must be text"):
            read_file("x", tmp_path)


class TestPlay:
    def test_begins_at_the_creation_of_the_zone(self):
        """Before its creation a zone has no values; the first row begins with it."""
        recording = a_recording(100, 200)

        assert current(recording, at(-0.001)) is None
        assert current(recording, at(0)) == 100

    def test_plays_at_its_speed(self):
        """An hour of the recording passes in 3600 / speed real seconds."""
        recording = a_recording(100, 200, 300, speed=1200)

        assert [100, 100, 200, 300] == [current(recording, at(t)) for t in (0, 2.999, 3, 6)]

    def test_ends_with_its_last_row(self):
        """Without `loop` there is nothing after the last row."""
        recording = a_recording(100, 200)

        assert current(recording, at(2 * 3600 - 1)) == 200
        assert current(recording, at(2 * 3600)) is None

    def test_begins_again(self):
        """With `loop` the first row follows the last one, for ever."""
        recording = a_recording(100, 200, loop=True)

        played = [current(recording, at(3600 * hour)) for hour in (0, 1, 2, 3, 1001)]

        assert [100, 200, 100, 200, 200] == played

    def test_gives_the_history_and_the_row_that_is_played(self):
        """Points follow each other without gaps, and none begins in the future."""
        recording = a_recording(100, 200, 300, 400, speed=1200)

        points = recording.points(CREATED - HOUR, at(7))

        assert [100, 200, 300] == [p.intensity // 1000 for p in points]
        assert [(at(0), at(3)), (at(3), at(6)), (at(6), at(9))] == [
            (p.start, p.end) for p in points
        ]

    def test_is_where_it_was_after_a_restart(self):
        """What is played depends on the creation, the speed and the time, and on nothing else."""
        one = a_recording(*range(100), speed=977, loop=True)
        other = a_recording(*range(100), speed=977, loop=True)
        other.points(CREATED, at(1000))

        assert one.points(at(5000), at(5001)) == other.points(at(5000), at(5001))

    @pytest.mark.parametrize("speed", [1, 7, 977, 1200, 86_400])
    def test_agrees_with_itself_on_where_rows_begin(self, speed: int):
        """At the instant at which a row begins it is the row that is played, at any speed."""
        recording = a_recording(*range(50), speed=speed)

        for point in recording.points(CREATED, CREATED + 50 * HOUR):
            assert [point] == recording.points(point.start, point.start)

    def test_bounds_its_answer(self):
        """A question for too long a time is answered with the newest rows."""
        recording = a_recording(1, 2, speed=86_400, loop=True)

        points = recording.points(CREATED, CREATED + timedelta(days=30))

        assert len(points) == MAX_POINTS
        assert points[-1].end > CREATED + timedelta(days=30)

    def test_is_asked_once_a_row_and_at_most_once_a_second(self):
        """It is worth asking when the next row begins."""
        assert a_recording(1, 2, speed=1200).cadence.poll == 3
        assert a_recording(1, 2, speed=86_400).cadence.poll == 1


@pytest.mark.skipif(not DATA.exists(), reason="needs the traces; set CARBONAWARE_DATA")
def test_plays_a_real_year():
    """The German trace of 2022 and 2023 plays from its first hour, without a gap."""
    text = read_file("traces/electricitymaps/DE_2022-2023.csv", DATA)
    series = read_series(text, "lca_g_per_kwh", origin="DE")

    points = Recording(series, CREATED, 3600, loop=False).points(CREATED, at(17_519))

    assert (17_520, HOUR) == (len(series.values), series.step)
    assert [213_790, 218_000] == [p.intensity for p in points[:2]]
    assert all(a.end == b.start for a, b in pairwise(points))
