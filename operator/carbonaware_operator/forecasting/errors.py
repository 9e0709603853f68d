"""Why there is no forecast.

ForecastError
├── ForecastTooShort    the history has fewer hours than the model needs
└── ForecastTooLong     hours are asked for that lie beyond what models are fitted for
"""


class ForecastError(Exception):
    """There is no forecast; the message says what must hold."""


class ForecastTooShort(ForecastError):  # noqa: N818 - what is wrong with the history
    """The history has fewer hours than the model needs."""

    def __init__(self, model: str, *, needed: int, known: int) -> None:
        super().__init__(f"{model} needs at least {needed} hours of history; there are {known}")
        self.needed, self.known = needed, known


class ForecastTooLong(ForecastError):  # noqa: N818
    """A forecast must end within the limit, counted from the last hour of the history."""

    def __init__(self, *, asked: int, limit: int) -> None:
        super().__init__(
            f"a forecast must end at most {limit} hours after its history; {asked} were asked for"
        )
