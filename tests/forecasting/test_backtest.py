"""Backtests: where forecasts start, what they know, and how they are scored."""

import numpy as np
import pytest

from carbonaware_operator.forecasting.backtest import Backtest, backtest, origins_of
from carbonaware_operator.forecasting.choice import MODELS
from carbonaware_operator.forecasting.errors import ForecastTooLong, ForecastTooShort
from carbonaware_operator.forecasting.series import HOUR, History
from forecasting_builders import NEW_YEAR, a_grid, a_history

SMOOTHING = MODELS["smoothing"]


class TestOrigins:
    def test_are_every_midnight_that_leaves_a_whole_horizon(self) -> None:
        """181 days of test hold 178 forecasts of four days, as in the published protocol."""
        origins = origins_of(a_history(400), test_hours=4344, horizon=96)

        assert (178, 24 * 219, 24 * 396) == (len(origins), origins[0], origins[-1])

    def test_are_at_midnight_whenever_the_history_starts(self) -> None:
        """UTC midnight, not a multiple of days since the first hour."""
        history = a_history(40)
        later = History(history.start + 5 * HOUR, history.values[5:])

        origins = origins_of(later, test_hours=240, horizon=24)

        assert {0} == {later.at(origin).hour for origin in origins}
        assert 10 == len(origins)

    def test_none_is_an_error(self) -> None:
        """The test is shorter than one forecast."""
        with pytest.raises(ForecastTooShort, match="a backtest needs at least 96 hours"):
            origins_of(a_history(40), test_hours=48, horizon=96)


class TestBacktest:
    @pytest.mark.parametrize("models", MODELS.values(), ids=MODELS)
    def test_does_not_look_ahead(self, models: tuple) -> None:
        """With another future after the first origin, the first forecast and its band are same."""
        past, futures = a_grid(240), (a_grid(4, seed=5), 3 * a_grid(4, seed=6))

        first = [
            backtest(
                History(NEW_YEAR, np.append(past, future)), models, test_hours=96, horizon=96
            ).forecasts[0]
            for future in futures
        ]

        for name in ("values", "lower", "upper"):
            np.testing.assert_array_equal(getattr(first[0], name), getattr(first[1], name))

    def test_scores_each_day_ahead(self) -> None:
        """The last day may be a part of one; all hours count the same in the whole."""
        found = backtest(a_history(80), SMOOTHING, test_hours=480, horizon=36)

        errors = np.abs(np.array([f.values for f in found.forecasts]) / found.outcomes - 1)
        by_day = [100 * errors[:, :24].mean(), 100 * errors[:, 24:].mean()]
        np.testing.assert_allclose(by_day, found.mape_by_day)
        assert 100 * errors.mean() == pytest.approx(found.mape)

    def test_tells_how_far_it_is(self) -> None:
        """A command shows it to who waits."""
        told: list[tuple[int, int]] = []

        backtest(
            a_history(30),
            SMOOTHING,
            test_hours=72,
            horizon=24,
            on_origin=lambda done, origins: told.append((done, origins)),
        )

        assert [(1, 3), (2, 3), (3, 3)] == told

    def test_of_too_short_a_history_or_too_long_a_horizon_is_refused(self) -> None:
        """The first forecast must already be possible."""
        with pytest.raises(ForecastTooShort):
            backtest(a_history(10), SMOOTHING, test_hours=240, horizon=96)
        with pytest.raises(ForecastTooLong):
            backtest(a_history(60), SMOOTHING, test_hours=240, horizon=121)

    def test_counts_how_many_outcomes_lie_in_the_band(self) -> None:
        """Of hours with an outcome; none is no number."""
        found = backtest(a_history(120), SMOOTHING, test_hours=960, horizon=24)

        assert 0.6 < found.coverage < 0.95
        unknown = Backtest(found.forecasts, np.full_like(found.outcomes, np.nan))
        assert np.isnan(unknown.coverage)
