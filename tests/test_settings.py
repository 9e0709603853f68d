"""Settings: flags and environment variables of one name, errors that name the flag."""

from datetime import timedelta

import pytest

from carbonaware_operator.settings import parse


class TestParse:
    def test_needs_nothing(self):
        """Every setting has a default."""
        assert timedelta(hours=24) == parse([]).default_max_delay

    def test_a_flag_stands_before_the_environment(self, monkeypatch):
        """As everywhere."""
        monkeypatch.setenv("CARBONAWARE_DEFAULT_ZONE", "fr")

        assert ("fr", "de") == (
            parse([]).default_zone,
            parse(["--default-zone=de"]).default_zone,
        )

    @pytest.mark.parametrize(
        "flag",
        [
            "--default-max-delay=5",
            "--default-max-delay=900ms",
            f"--default-zone={'x' * 254}",
            "--sweep-seconds=0",
            "--sweep-seconds=nan",
            "--accounting-period-seconds=1.5",
            "--accounting-interval-seconds=often",
            "--log-level=LOUD",
            "--listen=8080",
            "--listen=localhost:http",
        ],
    )
    def test_a_wrong_value_ends_with_a_message_that_names_the_flag(self, capsys, flag):
        """The operator must not start with a setting that fails later."""
        with pytest.raises(SystemExit):
            parse([flag])

        assert flag.partition("=")[0] in capsys.readouterr().err
