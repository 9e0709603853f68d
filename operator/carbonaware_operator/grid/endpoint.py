"""A provider's HTTP API: a question, and its answer as JSON or a SignalError.

What all providers have in common is here: TLS is verified, connecting and reading have time limits,
an answer has a size limit, and a question goes where the administrator lets it go.
"""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util import Retry

from carbonaware_operator.grid.egress import Egress
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

MAX_BYTES = 1024 * 1024  # a day at five minutes, the longest answer asked for, takes 60 kB
_CHUNK = 64 * 1024
_TIMEOUT = (5.0, 10.0)  # seconds to connect, and between two parts of an answer
_WHOLE_ANSWER_SECONDS = 30.0  # a host that sends a byte now and then would hold a thread for ever

# A wait that the provider asks for is left to the caller: here it would hold a worker thread.
_RETRY = Retry(
    total=2,
    redirect=0,
    backoff_factor=0.5,
    status_forcelist=(500, 502, 503, 504),
    allowed_methods=("GET",),
    respect_retry_after_header=False,
    raise_on_status=False,
)

Refusals = Mapping[bytes, tuple[type[SignalError], str]]
"""Lower-case phrase of the body of a refusal -> what it means; only these phrases are used."""


class Endpoint:
    """The API of one provider, for one zone of the provider."""

    def __init__(
        self,
        url: str,
        *,
        member: str,
        subject: str,
        egress: Egress,
        keyed: bool = False,
        headers: Mapping[str, str] | None = None,
        refusals: Refusals | None = None,
        persistent: bool = True,
    ) -> None:
        """Describe the API; nothing is asked yet.

        url: its base; member: the field of the CarbonZone that is about it, and subject: what is
        asked for, such as "zone 'DE'", both for messages; egress: where questions may go; keyed:
        whether a key is sent with them, in headers; headers: sent with every question;
        refusals: what the phrases of this API mean; persistent: whether a question that found no
        answer, or a failure of the provider, is asked twice more at once.
        """
        self.host = urlsplit(url).netloc.rpartition("@")[2]
        self._url, self._member, self._subject = url.rstrip("/"), member, subject
        self._egress, self._keyed = egress, keyed
        self._headers = {"Accept": "application/json", **(headers or {})}
        self._refusals = refusals or {}
        self._retry = _RETRY if persistent else Retry(0, raise_on_status=False)

    def ask(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The answer to a GET, as JSON; None when it is that there is no content.

        headers: sent beside those of every question. Blocks. Raises SignalError.
        """
        body = self._get(self._url + path, query or {}, {**self._headers, **(headers or {})})
        if body is None:
            return None
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise self.malformed("the answer must be JSON; is there a proxy in between?") from None

    def malformed(self, must: str) -> SignalMalformed:
        """The error of an answer that is not what it must be."""
        return SignalMalformed(f"{self.host}: {must}")

    def unknown(self) -> SignalZoneUnknown:
        """The error of an answer that is about something else than what was asked for."""
        return SignalZoneUnknown(
            f"{self.host} answered for something else than {self._subject}; check `{self._member}`"
        )

    def _get(self, url: str, query: Mapping[str, str], headers: Mapping[str, str]) -> bytes | None:
        self._egress.admit(self._url, self._member, keyed=self._keyed)
        try:
            with (
                self._session() as session,
                session.get(
                    url,
                    params=query,
                    headers=headers,
                    timeout=_TIMEOUT,
                    stream=True,
                    # `requests` would take the key along to whatever host is named.
                    allow_redirects=False,
                ) as response,
            ):
                if response.status_code == requests.codes.no_content:
                    return None
                self._refuse(response)
                return self._body(response)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise SignalMisconfigured(f"`{self._member}.url` must be an http(s) URL") from error
        except requests.exceptions.SSLError as error:
            raise SignalUnreachable(
                f"{self.host}: its TLS certificate could not be verified"
            ) from error
        except (requests.RequestException, HTTPError, OSError) as error:
            raise SignalUnreachable(
                f"{self.host} does not answer; check the network, or `{self._member}.url`"
            ) from error

    def _session(self) -> requests.Session:
        session = self._egress.session(self._retry)
        # Otherwise a `.netrc` of the machine would replace the key that was given.
        session.auth = _unchanged
        return session

    def _body(self, response: requests.Response) -> bytes:
        body, deadline = bytearray(), time.monotonic() + _WHOLE_ANSWER_SECONDS
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > MAX_BYTES:
                raise self.malformed(f"the answer must be at most {MAX_BYTES} bytes long")
            if time.monotonic() > deadline:
                raise SignalUnreachable(
                    f"{self.host}: the answer must be complete within"
                    f" {_WHOLE_ANSWER_SECONDS:g} seconds"
                )
        return bytes(body)

    def _refuse(self, response: requests.Response) -> None:
        """Raise what a status other than 200 means."""
        status = response.status_code
        if status == requests.codes.ok:
            return
        retry_after = _retry_after(response)
        if status == requests.codes.too_many_requests:
            raise SignalRateLimited(f"{self.host} was asked too often", retry_after=retry_after)
        if 300 <= status < 400:
            raise SignalMisconfigured(
                f"{self.host} redirects, which is not followed; set `{self._member}.url` to the"
                " final address"
            )
        if status >= 500:
            raise SignalUnreachable(
                f"{self.host} answered with its own failure, {status}", retry_after=retry_after
            )
        raise self._refusal(status, response.raw.read(4096, decode_content=True).lower())

    def _refusal(self, status: int, body: bytes) -> SignalError:
        for phrase, (error, message) in self._refusals.items():
            if phrase in body:
                return error(message)
        if status == requests.codes.unauthorized:
            return SignalUnauthorized(f"{self.host} refused the key, 401; renew it in the Secret")
        if status == requests.codes.forbidden:
            return SignalForbidden(
                f"{self.host} refused access, 403; the plan of the key must include {self._subject}"
            )
        if status == requests.codes.not_found:
            return SignalZoneUnknown(
                f"{self.host} does not know {self._subject}, or `{self._member}.url` is wrong;"
                " check both"
            )
        return SignalMisconfigured(
            f"{self.host} refused the question, {status}; check `{self._member}`"
        )


def header_text(text: str, what: str) -> str:
    """A secret as it can stand in a header, without the newline that `echo` adds to a Secret.

    Raises SignalMisconfigured: it is no line of ASCII text. The text itself is not in the message.
    """
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isprintable() and stripped):
        raise SignalMisconfigured(f"{what} must be one line of ASCII text; check the Secret")
    return stripped


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _retry_after(response: requests.Response) -> float | None:
    """Seconds that the provider asks for, whether it sent a number or a date."""
    try:
        value = response.headers.get("Retry-After")
        return None if value is None else Retry().parse_retry_after(value)
    except InvalidHeader:
        return None
