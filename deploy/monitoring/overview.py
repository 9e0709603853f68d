"""The dashboard Overview: the grid, the jobs, and what waiting for a clean grid has saved."""

from deploy.monitoring.board import Board, Panel, Query, Row, Shape, Unit, Variable

_ZONE = 'zone=~"$zone"'
_HORIZONS = (1, 3, 6, 12, 24)
_EMISSIONS = "zone:carbonaware_emissions_grams:rate5m"
_BASELINE = "zone:carbonaware_baseline_emissions_grams:rate5m"
RELEASES = "sum by (reason) (zone:carbonaware_job_releases:rate5m) > 0"


def in_range(rate: str, by: str = "") -> str:
    """What a recorded rate sums to over the dashboard's range; an hour without data adds nothing.

    A mean times the length of the range would take a young installation for an old one.
    """
    return f"sum{by} (sum_over_time({rate}[$__range:1m])) * 60"


def _saved(rate: str) -> str:
    return in_range(f"{rate}{{{_ZONE}}}")


_GRID = Row(
    "Grid",
    (
        Panel(
            "Intensity in effect",
            "How much CO2e does a kilowatt hour cause now, and did so far? While a zone has no "
            "fresh value, the series names the fallback that stands in.",
            Shape.TIME_SERIES,
            Unit.GRAMS_PER_KILOWATT_HOUR,
            (
                Query(
                    "max by (zone, source) (carbonaware_grid_intensity_grams_per_kilowatt_hour"
                    f'{{signal="average",{_ZONE}}})',
                    "{{zone}} ({{source}})",
                ),
            ),
            "providers.md",
        ),
        Panel(
            "Intensity now and in the next 24 hours",
            "When does the grid get cleaner? The value in effect, and what is forecast.",
            Shape.BARS,
            Unit.GRAMS_PER_KILOWATT_HOUR,
            (
                Query(
                    "max by (zone) (carbonaware_grid_intensity_grams_per_kilowatt_hour"
                    f'{{signal="average",{_ZONE}}})',
                    "{{zone}} now",
                ),
                *(
                    Query(
                        "max by (zone) (carbonaware_grid_forecast_intensity_grams_per_kilowatt_hour"
                        f'{{horizon_hours="{hours}",{_ZONE}}})',
                        f"{{{{zone}}}} +{hours} h",
                    )
                    for hours in _HORIZONS
                ),
            ),
            "forecasting.md",
            width=8,
        ),
        Panel(
            "Zones without a fresh value",
            "For how many zones does a fallback decide?",
            Shape.NUMBER,
            Unit.COUNT,
            (
                Query(
                    f"sum(1 - max by (zone) (carbonaware_grid_signal_fresh{{{_ZONE}}}))",
                    "on a fallback",
                ),
            ),
            "runbooks/CarbonAwareSignalStale.md",
            width=4,
        ),
    ),
)
_JOBS = Row(
    "Jobs",
    (
        Panel(
            "Jobs by state",
            "How many jobs are held, run and ended?",
            Shape.STACKED,
            Unit.COUNT,
            (Query(f"sum by (state) (zone:carbonaware_jobs:sum{{{_ZONE}}})", "{{state}}"),),
            "why-is-my-job-waiting.md",
            width=8,
        ),
        Panel(
            "Held jobs by reason",
            "What do held jobs wait for?",
            Shape.STACKED,
            Unit.COUNT,
            (
                Query(
                    f'sum by (reason) (zone:carbonaware_jobs:sum{{state="Held",{_ZONE}}})',
                    "{{reason}}",
                ),
            ),
            "why-is-my-job-waiting.md",
            width=8,
        ),
        Panel(
            "Releases in the range, by reason",
            "Why were jobs let start: a clean grid, their deadline, their user?",
            Shape.BARS,
            Unit.COUNT,
            (
                Query(
                    in_range(f"zone:carbonaware_job_releases:rate5m{{{_ZONE}}}", by=" by (reason)"),
                    "{{reason}}",
                ),
            ),
            "why-is-my-job-waiting.md",
            width=8,
        ),
        Panel(
            "Time held before release",
            "How long did jobs wait? Half and nine tenths of them waited at most so long.",
            Shape.TIME_SERIES,
            Unit.SECONDS,
            tuple(
                Query(
                    f"histogram_quantile({share}, sum by (le) "
                    f"(zone:carbonaware_job_hold_seconds_bucket:rate5m{{{_ZONE}}}))",
                    legend,
                )
                for share, legend in ((0.5, "half"), (0.9, "nine tenths"))
            ),
            "why-is-my-job-waiting.md",
        ),
        Panel(
            "Next deadline",
            "How long may the most urgent held job of each zone still wait?",
            Shape.TIME_SERIES,
            Unit.SECONDS,
            (
                Query(
                    f"min by (zone) (zone:carbonaware_job_next_deadline_seconds:min{{{_ZONE}}})",
                    "{{zone}}",
                ),
            ),
            "runbooks/CarbonAwareJobNearDeadline.md",
        ),
    ),
)
_SAVINGS = Row(
    "Emissions",
    (
        Panel(
            "Energy of jobs",
            "How much energy did jobs use in the range?",
            Shape.NUMBER,
            Unit.JOULES,
            (Query(_saved("zone:carbonaware_energy_joules:rate5m"), "energy"),),
            "energy-and-emissions.md",
            width=6,
        ),
        Panel(
            "Emissions of jobs",
            "How much CO2e did they cause?",
            Shape.NUMBER,
            Unit.GRAMS,
            (Query(_saved(_EMISSIONS), "emissions"),),
            "energy-and-emissions.md",
            width=6,
        ),
        Panel(
            "Avoided",
            "How much less is that than had the same jobs run at once? Below zero: more.",
            Shape.NUMBER,
            Unit.GRAMS,
            (Query(f"{_saved(_BASELINE)} - {_saved(_EMISSIONS)}", "avoided"),),
            "energy-and-emissions.md",
            width=6,
        ),
        Panel(
            "Avoided share",
            "Which part of the emissions of running at once was avoided?",
            Shape.NUMBER,
            Unit.RATIO,
            (Query(f"1 - {_saved(_EMISSIONS)} / ({_saved(_BASELINE)})", "avoided"),),
            "energy-and-emissions.md",
            width=6,
        ),
        Panel(
            "Emissions against running at once",
            "When did jobs emit, and what would running at once have emitted? A job's baseline is "
            "posted with its energy, so the area between the two is what waiting saved.",
            Shape.TIME_SERIES,
            Unit.GRAMS_PER_HOUR,
            (
                Query(f"sum({_EMISSIONS}{{{_ZONE}}}) * 3600", "emissions"),
                Query(f"sum({_BASELINE}{{{_ZONE}}}) * 3600", "at once"),
            ),
            "energy-and-emissions.md",
            width=24,
        ),
    ),
)
BOARD = Board(
    uid="carbonaware-overview",
    title="Carbon aware / Overview",
    description="The grid, the jobs that wait for it, and what waiting has saved.",
    variables=(Variable("zone", "carbonaware_grid_signal_fresh"),),
    rows=(_GRID, _JOBS, _SAVINGS),
    releases=f"sum by (zone, reason) (zone:carbonaware_job_releases:rate5m{{{_ZONE}}}) > 0",
)
