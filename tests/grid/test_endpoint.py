"""What goes wrong with every provider's HTTP alike, over real connections."""

import gzip
from pathlib import Path

import pytest

from carbonaware_operator.grid import endpoint
from carbonaware_operator.grid.endpoint import MAX_BYTES, Endpoint, header_text
from carbonaware_operator.grid.errors import (
    SignalError,
    SignalForbidden,
    SignalMalformed,
    SignalMisconfigured,
    SignalRateLimited,
    SignalUnauthorized,
    SignalUnreachable,
    SignalZoneUnknown,
)
from replay_server import HTML, LOOPBACK, Answer, ReplayServer

KEY = "key-1234567890"


def an_endpoint(url: str) -> Endpoint:
    return Endpoint(
        url,
        member="some",
        subject="zone 'DE'",
        egress=LOOPBACK,
        keyed=True,
        headers={"auth-token": KEY},
        refusals={b"not in your plan": (SignalForbidden, "choose another plan")},
    )


def ask(replay: ReplayServer) -> object:
    return an_endpoint(replay.url).ask("/now", {"zone": "DE"})


class TestAnswers:
    def test_are_json(self, replay: ReplayServer):
        """The question carries the key; the answer is what the JSON says."""
        replay.give("/now", {"a": [1, None]})

        assert {"a": [1, None]} == ask(replay)
        assert KEY == replay.asked[0].headers["auth-token"]
        assert {"zone": "DE"} == replay.asked[0].query

    def test_may_have_no_content(self, replay: ReplayServer):
        """204 is not an empty text that must be JSON."""
        replay.give("/now", Answer(b"", 204))

        assert ask(replay) is None

    def test_may_be_compressed(self, replay: ReplayServer):
        """Whatever `requests` offers to understand is understood."""
        replay.give("/now", Answer(gzip.compress(b"[1]"), 200, {"Content-Encoding": "gzip"}))

        assert [1] == ask(replay)

    def test_come_after_a_hiccup(self, replay: ReplayServer):
        """A failure of the provider that passes is not noticed."""
        replay.give("/now", Answer(b"", 502), [1])

        assert [1] == ask(replay)


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Answer(b"{}", 401), SignalUnauthorized, "refused the key, 401; renew it"),
        (Answer(b"{}", 403), SignalForbidden, "403; the plan of the key must include zone 'DE'"),
        (Answer(b'"Not in YOUR plan"', 401), SignalForbidden, "choose another plan"),
        (Answer(b"{}", 404), SignalZoneUnknown, "does not know zone 'DE', or `some.url` is wrong"),
        (Answer(b"{}", 429), SignalRateLimited, "asked too often"),
        (Answer(b"{}", 400), SignalMisconfigured, "refused the question, 400; check `some`"),
        (Answer(b"", 503), SignalUnreachable, "its own failure, 503"),
        (Answer(b"", 301, {"Location": "/elsewhere"}), SignalMisconfigured, "redirects"),
        (HTML, SignalMalformed, "must be JSON; is there a proxy"),
        (Answer(b""), SignalMalformed, "must be JSON"),
        (Answer(b'{"a": 1'), SignalMalformed, "must be JSON"),
        (Answer(b"\xff\xfe\x00"), SignalMalformed, "must be JSON"),
        (Answer(b"[" * 100_000), SignalMalformed, "must be JSON"),
        (Answer(b"9" * 10_000), SignalMalformed, "must be JSON"),
        (Answer(b'{"a": 1}', truncated=3), SignalUnreachable, "does not answer"),
        (Answer(b" " * 10_000_000), SignalMalformed, f"at most {MAX_BYTES} bytes"),
        (
            Answer(gzip.compress(b" " * 10_000_000), 200, {"Content-Encoding": "gzip"}),
            SignalMalformed,
            f"at most {MAX_BYTES} bytes",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else getattr(value, "__name__", "answer"),
)
def test_every_refusal_is_told_apart(
    replay: ReplayServer, answer: Answer, error: type[SignalError], says: str
):
    """Each is an error of its own kind, says what to change, and never holds the key."""
    replay.give("/now", answer)

    with pytest.raises(SignalError, match=says) as caught:
        ask(replay)

    assert error is type(caught.value)
    assert KEY not in str(caught.value)


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("header", "seconds"), [("120", 120.0), ("0", 0.0), ("soon", None), (None, None)]
    )
    @pytest.mark.parametrize("status", [429, 503])
    def test_is_passed_on(self, replay: ReplayServer, header, seconds, status: int):
        """A wait that the provider asks for is passed on, and not slept through here."""
        replay.give("/now", Answer(b"", status, {"Retry-After": header} if header else {}))

        with pytest.raises(SignalError) as caught:
            ask(replay)

        assert seconds == caught.value.retry_after

    def test_of_a_limit_is_not_tried_at_once(self, replay: ReplayServer):
        """Another attempt would only make it worse."""
        replay.give("/now", Answer(b"", 429, {"Retry-After": "120"}))

        with pytest.raises(SignalRateLimited):
            ask(replay)

        assert 1 == len(replay.asked)

    def test_may_be_a_date(self, replay: ReplayServer):
        """HTTP allows both."""
        replay.give("/now", Answer(b"", 429, {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}))

        with pytest.raises(SignalRateLimited) as caught:
            ask(replay)

        assert caught.value.retry_after > 3600


class TestTheKey:
    def test_follows_no_redirect(self, replay: ReplayServer):
        """It would go along to whatever host the redirect names."""
        other = ReplayServer()
        replay.give("/now", Answer(b"", 302, {"Location": f"{other.url}/now"}))

        with pytest.raises(SignalMisconfigured, match="redirects"):
            ask(replay)
        other.close()

        assert [] == other.asked

    def test_is_not_replaced_by_that_of_the_machine(
        self, replay: ReplayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """`requests` reads a .netrc and overwrites the Authorization that was given."""
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login other password other\n")
        monkeypatch.setenv("NETRC", str(netrc))
        replay.give("/now", {})

        an_endpoint(replay.url).ask("/now", headers={"Authorization": "Bearer mine"})

        assert "Bearer mine" == replay.asked[0].headers["Authorization"]

    def test_loses_the_newline_of_a_secret(self):
        """A key that was stored with `echo` works."""
        assert KEY == header_text(f"{KEY}\n", "the key")

    @pytest.mark.parametrize("key", ["", "  \n", "zwei\nzeilen", "schlüssel"])
    def test_must_be_one(self, key: str):
        """What no header can carry is refused before it is sent, and not repeated."""
        with pytest.raises(SignalMisconfigured, match="the key must be one line of") as caught:
            header_text(key, "the key")

        assert not key.strip() or key not in str(caught.value)

    def test_in_a_url_is_not_shown(self):
        """Somebody will write it there."""
        assert "example.org" == an_endpoint("https://user:hunter2@example.org/v3").host


class TestConnections:
    def test_that_are_refused(self, replay: ReplayServer):
        """A host that refuses connections is unreachable, and named."""
        replay.close()

        with pytest.raises(SignalUnreachable, match=r"127\.0\.0\.1:\d+ does not answer"):
            ask(replay)

    def test_on_which_nothing_comes(self, replay: ReplayServer, monkeypatch: pytest.MonkeyPatch):
        """An answer whose body does not come is given up after the read time-out."""
        monkeypatch.setattr(endpoint, "_TIMEOUT", (1, 0.05))
        replay.give("/now", Answer(b"{}", delay=0.3))

        with pytest.raises(SignalUnreachable, match="does not answer"):
            ask(replay)

    def test_on_which_an_answer_drips(self, replay: ReplayServer, monkeypatch: pytest.MonkeyPatch):
        """A host that keeps sending a little does not hold a thread for ever."""
        monkeypatch.setattr(endpoint, "_WHOLE_ANSWER_SECONDS", 0.0)
        replay.give("/now", [1])

        with pytest.raises(SignalUnreachable, match="must be complete within"):
            ask(replay)

    def test_without_a_trusted_certificate(self, replay: ReplayServer):
        """What does not speak TLS, or whose certificate is not verified, is refused."""
        with pytest.raises(SignalUnreachable, match=r"could not be verified|does not answer"):
            an_endpoint(replay.url.replace("http:", "https:")).ask("/now")

        assert [] == replay.asked

    def test_to_no_host_at_all(self):
        """A URL without a host is the configuration's fault."""
        with pytest.raises(SignalMisconfigured, match=r"`some.url` must be an http"):
            an_endpoint("http://").ask("/now")
