"""Every model: no look-ahead, gaps, short histories, constants, and what each promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonaware_operator.forecasting.choice import MODELS
from carbonaware_operator.forecasting.errors import ForecastTooShort
from carbonaware_operator.forecasting.model import LIMIT_HOURS, Model
from carbonaware_operator.forecasting.ridge import Ridge
from carbonaware_operator.forecasting.score import mape
from carbonaware_operator.forecasting.series import FloatArray, History
from carbonaware_operator.forecasting.smoothing import Smoothing
from carbonaware_operator.forecasting.yesterday import Yesterday
from forecasting_builders import (
    NEW_YEAR,
    a_grid,
    a_history,
    a_swinging_history,
    with_prices,
)

EVERY = pytest.mark.parametrize("model", MODELS["auto"], ids=lambda model: model.name)


def predicted(model: Model, history: History, origin: int | None = None) -> FloatArray:
    """The forecast of a model that is fitted to what precedes the origin, float64[120]."""
    hours = origin or history.hours
    return model.fit(history.until(hours)).predict(history, np.array([hours]))[0]


class TestEveryModel:
    @EVERY
    def test_does_not_look_ahead(self, model: Model) -> None:
        """Another future, the same forecast."""
        past, future = a_grid(200), a_grid(10, seed=7)
        histories = [History(NEW_YEAR, np.append(past, f)) for f in (future, 5 * future + 1)]

        forecasts = [predicted(model, history, origin=len(past)) for history in histories]

        np.testing.assert_array_equal(*forecasts)

    @EVERY
    def test_does_not_look_ahead_of_earlier_origins(self, model: Model) -> None:
        """One fit may forecast from many days: of each, only what precedes it counts."""
        whole = a_history(206)
        fitted = model.fit(whole.until(24 * 200))
        origins = 24 * np.array([198, 200, 203])

        together = fitted.predict(whole, origins)

        for row, origin in enumerate(origins):
            alone = fitted.predict(whole.until(int(origin)), origins[row : row + 1])
            np.testing.assert_allclose(together[row], alone[0], rtol=1e-9)

    @EVERY
    def test_says_how_much_history_it_needs(self, model: Model) -> None:
        """One hour less than `min_hours` is too short, and the message says both."""
        whole = a_history(200)

        model.fit(whole.until(model.min_hours))
        with pytest.raises(ForecastTooShort, match=f"at least {model.min_hours} hours") as raised:
            model.fit(whole.until(model.min_hours - 1))

        assert model.min_hours - 1 == raised.value.known

    @EVERY
    @pytest.mark.parametrize("level", [0.0, 1.0, 420_000.0])
    def test_of_a_constant_is_the_constant(self, model: Model, level: float) -> None:
        """Also where the grid emits nothing."""
        history = History(NEW_YEAR, np.full(24 * 180, level))

        np.testing.assert_allclose(level, predicted(model, history), rtol=1e-6, atol=1e-6)

    @EVERY
    def test_bridges_gaps(self, model: Model) -> None:
        """With every twentieth hour and two whole days missing, it is nearly as good."""
        whole, gaps = a_grid(204), a_grid(200)
        gaps[5::20] = np.nan
        gaps[24 * 150 : 24 * 152] = np.nan
        outcomes = whole[24 * 200 :]

        scores = [
            mape(predicted(model, History(NEW_YEAR, values))[:96], outcomes)
            for values in (whole[: 24 * 200], gaps)
        ]

        assert scores[1] < scores[0] + 3

    @EVERY
    def test_follows_the_hour_at_which_it_starts(self, model: Model) -> None:
        """A forecast from 07:00 UTC must not be one from midnight."""
        history = a_history(200, noise=0.01)
        outcomes = history.values[24 * 190 + 7 : 24 * 194 + 7]

        forecast = predicted(model, history, origin=24 * 190 + 7)

        assert mape(forecast[:96], outcomes) < 10

    @EVERY
    @settings(max_examples=12, deadline=None)
    @given(data=st.data())
    def test_is_finite_and_not_negative(self, model: Model, data: st.DataObject) -> None:
        """Whatever the history: zeros, jumps by a factor of a million, gaps, any length."""
        hours = data.draw(st.integers(model.min_hours, model.min_hours + 300))
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
        values = rng.choice([0.0, 3.0, 400_000.0, 5_000_000.0, np.nan], hours)
        values[[0, -1]] = 100_000.0

        forecast = predicted(model, History(NEW_YEAR, values))

        assert (LIMIT_HOURS,) == forecast.shape
        assert np.isfinite(forecast).all()
        assert (forecast >= 0).all()


class TestYesterday:
    def test_repeats_the_last_day(self) -> None:
        """For each of the days ahead."""
        history = a_history(3)

        np.testing.assert_array_equal(
            np.tile(history.values[-24:], 5), predicted(Yesterday(), history)
        )


class TestSmoothing:
    def test_halves_todays_level_with_every_day_ahead(self) -> None:
        """A day at twice the usual level is one of 2, then of 2 ** 0.5 and 2 ** 0.25."""
        values = np.full(24 * 100, 100_000_000.0)  # far above the offset of the logarithm
        values[-24:] *= 2
        usual = np.log(values[0]) + np.log(2) * 0.15 / (1 - 0.85**28)

        forecast = np.log(predicted(Smoothing(), History(NEW_YEAR, values)))

        above = (forecast - usual)[12:96:24] / (np.log(2) - usual + np.log(values[0]))
        np.testing.assert_allclose([1.0, 0.5, 0.25, 0.125], above, rtol=1e-3)

    def test_beats_yesterday_on_a_noisy_grid(self) -> None:
        """Its profile averages what yesterday has by chance."""
        history = a_history(200)
        origins = 24 * np.arange(150, 195)
        outcomes = history.values[origins[:, None] + np.arange(LIMIT_HOURS)]

        scores = [
            mape(model.fit(history).predict(history, origins), outcomes)
            for model in (Smoothing(), Yesterday())
        ]

        assert scores[0] < scores[1]


class TestRidge:
    def test_learns_what_smoothing_cannot_know(self) -> None:
        """The day after tomorrow is the mirror of today."""
        history = a_swinging_history(304)
        outcomes = history.values[24 * 300 : 24 * 304]

        scores = [
            mape(predicted(model, history, origin=24 * 300)[:96], outcomes)
            for model in (Ridge(), Smoothing())
        ]

        assert scores[0] < 5 < 20 < scores[1]


class TestPrices:
    DAYS = 240

    def test_tell_of_the_wind_of_tomorrow(self) -> None:
        """Where the price knows the level of the day, the first day's error falls."""
        history = a_history(self.DAYS + 1, noise=0.3)
        priced = with_prices(history, history.values / 5_000)
        outcomes, origin = history.values[24 * self.DAYS :], 24 * self.DAYS

        scores = [
            mape(predicted(Ridge(), h, origin=origin)[:24], outcomes) for h in (priced, history)
        ]

        assert scores[0] < scores[1] / 2

    @pytest.mark.parametrize(("hour", "days_known"), [(12, 1), (13, 2)])
    def test_are_not_known_before_13_00_the_day_before(self, hour: int, days_known: int) -> None:
        """Unpublished prices may be anything; published ones count."""
        history = a_history(self.DAYS, noise=0.3)
        origin = 24 * (self.DAYS - 5) + hour
        published = 24 * (self.DAYS - 5 + days_known)

        def forecast(changed_from: int) -> FloatArray:
            prices = a_grid(self.DAYS + 5, seed=3) / 5_000
            prices[changed_from:] *= 3
            return predicted(Ridge(), with_prices(history, prices), origin=origin)

        np.testing.assert_array_equal(forecast(published), forecast(published + 1000))
        assert (forecast(published - 6) != forecast(published)).any()

    def test_are_unknown_for_training_too_before_they_were_published(self) -> None:
        """A fit that saw tomorrow's price at noon would trust what it will not have."""
        noon = a_history(self.DAYS).until(24 * (self.DAYS - 1) + 12)
        prices = noon.values[12:].copy() / 5_000
        leaking = with_prices(noon, prices)

        np.testing.assert_allclose(
            predicted(Ridge(), leaking), predicted(Ridge(), leaking.until(noon.hours)), rtol=1e-12
        )

    def test_do_not_tell_earlier_origins_what_was_published_later(self) -> None:
        """A trial forecasts from origins whose future prices stand in the history."""
        whole = with_prices(a_history(self.DAYS), a_grid(self.DAYS, seed=3) / 5_000)
        origins = 24 * np.array([self.DAYS - 9, self.DAYS - 4]) + 15
        fitted = Ridge().fit(whole.until(int(origins[0])))

        together = fitted.predict(whole, origins)

        for row, origin in enumerate(origins):
            alone = fitted.predict(whole.until(int(origin)), origins[row : row + 1])
            np.testing.assert_allclose(together[row], alone[0], rtol=1e-9)

    def test_may_be_missing_or_beside_the_history(self) -> None:
        """Prices that end years ago, never were, or begin late change no shape."""
        history = a_history(200)
        late = np.full(24 * 200, np.nan)
        late[24 * 150 :] = 40.0

        for prices in (np.full(24, 50.0), np.full(24 * 200, np.nan), np.empty(0), late):
            forecast = predicted(Ridge(), with_prices(history, prices))
            assert np.isfinite(forecast).all()
