"""The choice by rolling score, the bands, and what a forecaster promises."""

from datetime import timedelta

import numpy as np
import pytest

from carbonaware_operator.forecasting.bands import COVERAGE, band
from carbonaware_operator.forecasting.choice import MODELS, TRIAL_DAYS, fit, tried
from carbonaware_operator.forecasting.errors import ForecastTooLong, ForecastTooShort
from carbonaware_operator.forecasting.model import LIMIT_HOURS
from carbonaware_operator.forecasting.score import mape
from carbonaware_operator.forecasting.series import History
from carbonaware_operator.forecasting.smoothing import Smoothing
from carbonaware_operator.forecasting.yesterday import Yesterday
from forecasting_builders import NEW_YEAR, a_grid, a_history, a_swinging_history


class TestScore:
    def test_is_the_mean_error_in_percent_of_what_came(self) -> None:
        """Missing outcomes and outcomes of zero do not count."""
        forecasts, outcomes = np.array([110.0, 50.0, 5.0, 5.0]), np.array([100, 100, 0, np.nan])

        assert 30.0 == pytest.approx(mape(forecasts, outcomes))
        assert np.isnan(mape(forecasts[2:], outcomes[2:]))


class TestChoice:
    def test_takes_the_model_with_the_best_rolling_score(self) -> None:
        """What repeats itself exactly but for a drift is yesterday's; noise is not."""
        drifting = np.tile(a_grid(1), 60) * np.repeat(1.03 ** np.arange(60), 24)
        histories = (History(NEW_YEAR, drifting), a_history(60), a_swinging_history(240))

        assert ["yesterday", "smoothing", "ridge"] == [fit(history).model for history in histories]

    @pytest.mark.parametrize(("drift", "chosen"), [(1.01, "smoothing"), (1.013, "yesterday")])
    def test_wants_a_simpler_model_to_be_better_by_a_tenth(self, drift: float, chosen: str) -> None:
        """It is better with either drift, by 9 % with the slower one."""
        rng = np.random.default_rng(1)
        values = np.tile(a_grid(1), 60) * np.repeat(drift ** np.arange(60), 24)
        history = History(NEW_YEAR, values * np.exp(rng.normal(0, 0.05, len(values))))

        yesterday, smoothing = (tried(m, history).mape for m in (Yesterday(), Smoothing()))

        assert yesterday < smoothing
        assert chosen == fit(history).model

    def test_does_not_ask_ridge_before_six_months(self) -> None:
        """A day earlier it could not be tried for a week."""
        whole, six_months = a_swinging_history(200), 182 * 24

        chosen = [fit(whole.until(hours)).model for hours in (six_months - 1, six_months)]

        assert "ridge" not in chosen[:1]
        assert "ridge" == chosen[1]

    def test_repeats_yesterday_before_anything_could_be_tried(self) -> None:
        """A key of a free plan begins with a day of history."""
        forecaster = fit(a_history(1))

        assert "yesterday" == forecaster.model
        assert np.isnan(forecaster.mape)

    def test_refuses_less_than_a_day(self) -> None:
        """The message names the model that needs the least."""
        with pytest.raises(ForecastTooShort, match="yesterday needs at least 24 hours"):
            fit(a_history(1).until(23))

    def test_refuses_the_one_model_that_is_asked_for(self) -> None:
        """No other is taken in its place."""
        with pytest.raises(ForecastTooShort, match="ridge needs"):
            fit(a_history(100), MODELS["ridge"])


class TestTrial:
    def test_forecasts_once_a_day_and_knows_no_outcome_after_the_history(self) -> None:
        """The forecast of yesterday has been compared for 24 hours."""
        trial = tried(Smoothing(), a_history(100))

        assert (TRIAL_DAYS, LIMIT_HOURS) == trial.errors.shape
        assert [24, 48, 72] == [int((~np.isnan(row)).sum()) for row in trial.errors[:-4:-1]]

    def test_does_not_count_gaps(self) -> None:
        """An hour without an outcome has no error."""
        history = a_history(100)
        history.values[-30] = np.nan

        assert np.isnan(tried(Yesterday(), history).errors[-2, 18])


class TestForecast:
    def test_starts_at_its_origin(self) -> None:
        """Index 0 is the hour of the origin, also when the last values are late."""
        forecaster = fit(a_history(60))
        end = NEW_YEAR + timedelta(days=60)

        at_once, late = (
            forecaster.forecast(end, 96),
            forecaster.forecast(end + timedelta(hours=3), 93),
        )

        assert (end + timedelta(hours=3), timedelta(hours=1)) == (late.start, late.step)
        for name in ("values", "lower", "upper"):
            np.testing.assert_array_equal(getattr(at_once, name)[3:], getattr(late, name))

    def test_must_end_within_the_limit(self) -> None:
        """Beyond it no model is fitted; before the end of the history nothing is forecast."""
        forecaster = fit(a_history(60))
        end = NEW_YEAR + timedelta(days=60)

        with pytest.raises(ForecastTooLong, match="at most 120 hours"):
            forecaster.forecast(end + timedelta(hours=1), LIMIT_HOURS)
        for origin in (end - timedelta(hours=1), end + timedelta(minutes=1)):
            with pytest.raises(ValueError, match="must start on an hour"):
                forecaster.forecast(origin, 1)


class TestBands:
    def test_cover_what_they_claim(self) -> None:
        """Over 72 forecasts of six grids, within 8 points: 56 past days are no more exact."""
        within = []
        for seed in range(6):
            whole = a_history(340, seed=seed)
            for origin in range(24 * 100, 24 * 336, 24 * 20):
                past = whole.until(origin)
                forecast = fit(past, MODELS["smoothing"]).forecast(past.end, 96)
                outcome = whole.values[origin : origin + 96]
                within.append((forecast.lower <= outcome) & (outcome <= forecast.upper))

        assert abs(float(np.mean(within)) - COVERAGE) < 0.08

    def test_hold_the_forecast_and_widen_with_the_error(self) -> None:
        """Also a forecast that always erred to one side lies in its own band."""
        errors = np.linspace(0.1, 0.5, LIMIT_HOURS) * np.ones((20, 1))

        lower, upper = band(np.full(96, 200_000.0), errors)

        np.testing.assert_allclose(lower, 200_000.0)
        assert (np.diff(upper) >= 0).all()

    def test_without_past_errors_are_wide(self) -> None:
        """From two thirds to half as much again."""
        lower, upper = band(np.full(4, 200_000.0), np.empty((0, LIMIT_HOURS)))

        np.testing.assert_allclose(4 * [133_000], lower, rtol=0.01)
        np.testing.assert_allclose(4 * [300_500], upper, rtol=0.01)

    def test_take_the_hour_before_for_a_stretch_without_outcomes(self) -> None:
        """A gap at the same hours every day leaves no hole in the band."""
        errors = np.full((20, LIMIT_HOURS), 0.2)
        errors[:, 30:60] = np.nan

        _, upper = band(np.full(LIMIT_HOURS, 100_000.0), errors)

        np.testing.assert_allclose(upper[0], upper)
