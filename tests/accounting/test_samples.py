"""The agent's text is read exactly, or not at all."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting_fakes import HOUR, MIDNIGHT, a_mark, a_sample, hours, rendered
from carbonaware_operator.accounting.samples import Reading, SamplesError, parse_reading

LABELS = (
    'node="n1",namespace="ml",owner_kind="Job",owner_name="train-ab12",owner_uid="u1",'
    'domain="package",source="rapl",boundary="chip",epoch="9f3c"'
)
HEAD = (
    'carbonaware_agent_sample_timestamp_seconds{node="n1"} 1764018123.456\n'
    'carbonaware_agent_accounting_period_seconds{node="n1"} 3600\n'
)
ENERGY = f"carbonaware_owner_energy_joules_total{{{LABELS}}} 12.345678\n"
MARK = f'carbonaware_owner_energy_mark_joules{{{LABELS},hour="1764014400"}} 10.000000\n'
EOF = "# EOF\n"

_hostile = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_energies = st.integers(0, 10**18 - 1)


class TestParseReading:
    def test_reads_energy_marks_and_time(self) -> None:
        """A series has its value, its marks and the agent's time, all exact."""
        reading = parse_reading(HEAD + ENERGY + MARK + EOF, period_seconds=HOUR)

        (series,) = reading.series
        assert "n1" == reading.node
        assert 1764018123456000 == round(reading.time.timestamp() * 1e6)
        assert 12_345_678 == series.microjoules
        assert [10_000_000] == [value for _, value in series.marks]
        assert "2025-11-24T20:00:00+00:00" == series.marks[0][0].isoformat()
        assert ("ml", "Job", "train-ab12", "u1") == (
            series.namespace,
            series.owner_kind,
            series.owner_name,
            series.owner_uid,
        )
        assert ("package", "rapl", "9f3c") == (series.domain, series.source, series.epoch)

    def test_of_an_idle_node_has_no_series(self) -> None:
        """A node without pods is heard all the same."""
        assert () == parse_reading(HEAD + EOF, period_seconds=HOUR).series

    def test_ignores_comments_and_metrics_it_does_not_know(self) -> None:
        """A newer agent may say more."""
        text = "# HELP x y\n\n" + HEAD + 'carbonaware_new_thing{a="b"} 1e3\n' + ENERGY + EOF

        assert 1 == len(parse_reading(text, period_seconds=HOUR).series)

    @given(
        names=st.tuples(_hostile, _hostile, _hostile, _hostile),
        values=st.lists(_energies, min_size=1, max_size=5).map(sorted),
    )
    def test_returns_what_an_agent_rendered(
        self, names: tuple[str, str, str, str], values: list[int]
    ) -> None:
        """Whatever users call their objects, and to the last microjoule, text and back agree."""
        marks = [a_mark(MIDNIGHT + hours(n), value) for n, value in enumerate(values[:-1])]
        sample = a_sample(values[-1], MIDNIGHT + timedelta(days=1, microseconds=7), *marks)
        fields = ("namespace", "owner_kind", "owner_name", "owner_uid")
        sample = type(sample)(
            **{
                **{name: getattr(sample, name) for name in sample.__slots__},
                **dict(zip(fields, names, strict=True)),
            }
        )
        reading = Reading("n1", sample.time, (sample,))

        assert reading == parse_reading(rendered(reading), period_seconds=HOUR)

    @given(cut=st.integers(0, len(HEAD + ENERGY + MARK)))
    def test_refuses_what_was_cut_off(self, cut: int) -> None:
        """An answer without its last line is no answer, wherever it ends."""
        with pytest.raises(SamplesError, match="EOF"):
            parse_reading((HEAD + ENERGY + MARK)[:cut], period_seconds=HOUR)

    def test_a_label_cannot_pretend_to_be_the_end(self) -> None:
        """`# EOF` inside a label value ends nothing."""
        text = HEAD + ENERGY.replace("train-ab12", "\\n# EOF")

        with pytest.raises(SamplesError, match="EOF"):
            parse_reading(text, period_seconds=HOUR)

    def test_names_the_flag_when_periods_differ(self) -> None:
        """Marks of another period cannot be posted: the message says what to set."""
        with pytest.raises(SamplesError, match=r"'n1'.*3600 s.*60 s.*--accounting-period-seconds"):
            parse_reading(HEAD + EOF, period_seconds=60)

    @pytest.mark.parametrize(
        "text",
        {
            "a value in floating point": HEAD + ENERGY.replace("12.345678", "1.2e3"),
            "a seventh decimal": HEAD + ENERGY.replace("12.345678", "12.3456789"),
            "a negative value": HEAD + ENERGY.replace("12.345678", "-1"),
            "not a number": HEAD + ENERGY.replace("12.345678", "NaN"),
            "a line that is none": HEAD + "carbonaware_owner_energy_joules_total{oops 1\n",
            "a series twice": HEAD + ENERGY + ENERGY,
            "a mark without its series": HEAD + MARK,
            "a mark above its series": HEAD + ENERGY + MARK.replace("10.000000", "12.345679"),
            "marks that fall": HEAD
            + ENERGY
            + MARK
            + MARK.replace("1764014400", "1764010800").replace("10.000000", "11.000000"),
            "an hour that starts no period": HEAD + ENERGY + MARK.replace("14400", "14401"),
            "two nodes": HEAD + ENERGY.replace('node="n1"', 'node="n2"'),
            "no time": HEAD.split("\n", 1)[1] + ENERGY,
            "no period": HEAD.split("\n", 1)[0] + "\n" + ENERGY,
            "time twice": HEAD + HEAD + ENERGY,
            "no epoch": HEAD + ENERGY.replace("9f3c", ""),
            "a domain too long for a ledger": HEAD + ENERGY.replace("package", "p" * 254),
        }.items(),
        ids=lambda case: case[0],
    )
    def test_refuses(self, text: tuple[str, str]) -> None:
        """What contradicts itself is refused as a whole: half an answer would be a wrong one."""
        with pytest.raises(SamplesError):
            parse_reading(text[1] + EOF, period_seconds=HOUR)

    def test_one_owner_with_an_endless_uid_condemns_nobody(self) -> None:
        """A user can give a pod any owner uid; the other series are read."""
        text = HEAD + ENERGY + ENERGY.replace('owner_uid="u1"', f'owner_uid="{"x" * 999}"') + EOF

        assert 2 == len(parse_reading(text, period_seconds=HOUR).series)
