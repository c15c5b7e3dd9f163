"""The official SDK's HTTP client with the discipline it lacks: time limits, retries where they are safe, clear errors.

The SDK's services and data classes are used as they are; only the way a request travels is ours. A request that
changes something is sent once: whoever sends it looks afterwards what became of it (`api.py`).
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter
from verda.authentication import AuthenticationService
from verda.http_client import HTTPClient

from infra.verda import errors
from infra.verda.waiting import Clock

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
ATTEMPTS = 4
SAFE_TO_REPEAT = frozenset({"GET", "DELETE"})
LONGEST_QUOTE = 300


class Transport(HTTPClient):  # type: ignore[misc]  # the SDK carries no types
    """Sends what the SDK's services ask for. Safe to use from several threads."""

    def __init__(
        self, client_id: str, client_secret: str, base_url: str, *, clock: Clock, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        # The SDK's constructor signs in at once; ours does with the first request, so that building costs nothing.
        self._version = "comfyume"
        self._base_url = base_url
        self._clock = clock
        self._time_limits = (min(CONNECT_SECONDS, answer_seconds), answer_seconds)
        self._sign_in_lock = threading.Lock()
        self._auth_service = _Authentication(client_id, client_secret, base_url, self._exchange)

    def _request(
        self,
        method: str,
        url: str,
        json: Any = None,
        params: dict[str, Any] | None = None,
        path_params: dict[str, Any] | None = None,
        **_: Any,
    ) -> requests.Response:
        address = self._add_base_url(self._build_path(url, path_params))
        if method not in SAFE_TO_REPEAT:
            return self._send(method, address, json, params)
        attempts = Retrying(
            retry=retry_if_exception_type(errors.VerdaUnavailable),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential_jitter(multiplier=0.3, max=5, jitter=0.3),
            sleep=self._clock.sleep,
            reraise=True,
        )
        return attempts(self._send, method, address, json, params)

    def _send(self, method: str, address: str, json: Any, params: dict[str, Any] | None) -> requests.Response:
        used = self._token("")
        response = self._exchange(method, address, json=json, params=params, headers=self._generate_headers())
        if response.status_code == requests.codes.unauthorized:
            # A token can be taken back before its time; a fresh one settles whether the credentials are at fault.
            self._token(used)
            response = self._exchange(method, address, json=json, params=params, headers=self._generate_headers())
        refuse(response)
        return response

    def _token(self, refused: str) -> str:
        """The access token, signed in anew when it is old or is the one just refused."""
        with self._sign_in_lock:
            auth = self._auth_service
            if auth.is_expired() or auth.token == refused:
                auth.authenticate()
            return auth.token

    def _exchange(self, method: str, address: str, **parts: Any) -> requests.Response:
        try:
            return requests.request(method, address, timeout=self._time_limits, allow_redirects=False, **parts)
        except requests.Timeout:
            raise errors.VerdaUnavailable(
                "Verda did not answer in time; run the same command again, it goes on where it stopped."
            ) from None
        except requests.RequestException as lost:
            raise errors.VerdaUnavailable(
                f"The connection to Verda failed ({type(lost).__name__}); check the network and run the command again."
            ) from None


class _Authentication(AuthenticationService):  # type: ignore[misc]  # the SDK carries no types
    """Client credentials for an access token; the SDK's own requests here have no time limit."""

    def __init__(
        self, client_id: str, client_secret: str, base_url: str, exchange: Callable[..., requests.Response]
    ) -> None:
        super().__init__(client_id, client_secret, base_url)
        self._exchange = exchange
        self._access_token = ""
        self._expires_at = 0.0

    @property
    def token(self) -> str:
        return self._access_token

    def authenticate(self) -> dict[str, Any]:
        """Sign in; raises CredentialsRefused or VerdaUnavailable. Repeated by the next request, never by itself."""
        response = self._exchange(
            "POST",
            f"{self._base_url}/oauth2/token",
            json={
                "grant_type": "client_credentials",
                "client_id": self._client_id,
                "client_secret": self._client_secret,
            },
            headers=self._generate_headers(),
        )
        if response.status_code in (requests.codes.bad_request, requests.codes.unauthorized):
            raise errors.CredentialsRefused(CREDENTIALS_SENTENCE)
        refuse(response)
        answer: dict[str, Any] = response.json()
        self._access_token = answer["access_token"]
        # A little early, so that a token does not grow old on the way.
        self._expires_at = time.time() + answer["expires_in"] - 30
        return answer


CREDENTIALS_SENTENCE = (
    "Verda refused the credentials; check comfyume:verda_client_id and comfyume:verda_client_secret of this stack."
)


def refuse(response: requests.Response) -> None:
    """Raise what a refusal means; an answer that is no JSON came from something in front of the API."""
    is_page = "html" in response.headers.get("Content-Type", "")
    if response.ok and not response.is_redirect and not is_page:
        return
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise errors.VerdaUnavailable(
            f"Verda answered {response.status_code} without a reason; run the same command again in a minute."
        )
    raise meaning(response.status_code, str(answer.get("code") or ""), str(answer.get("message") or ""))


def meaning(status: int, code: str, message: str) -> errors.VerdaError:
    """The error class for Verda's own code and words, as a sentence with the next step. Pure."""
    words, quoted = message.lower(), message[:LONGEST_QUOTE].rstrip(".")
    if code == "insufficient_funds":
        return errors.InsufficientFunds(f"Verda: {quoted}. Top up the balance in Verda's console, then run it again.")
    if "quota" in words or "limit reached" in words:
        return errors.QuotaReached(
            f"Verda: {quoted}. Ask Verda's support for more, or lower the count in the settings."
        )
    if code == "no_capacity" or "capacity" in words or "not available" in words:
        return errors.NoCapacity(f"Verda: {quoted}. Wait, or choose another type of GPU.")
    if code == "not_found" or status == requests.codes.not_found:
        return errors.NotAtVerda(f"Verda: {quoted or 'there is no such thing'}.")
    if code in ("unauthorized_request", "unauthorized") or status == requests.codes.unauthorized:
        return errors.CredentialsRefused(CREDENTIALS_SENTENCE)
    if status >= requests.codes.server_error or status == requests.codes.too_many_requests:
        return errors.VerdaUnavailable(f"Verda answered {status} ({quoted or code}); run the same command again.")
    return errors.VerdaError(f"Verda refused it ({code or status}): {quoted}. Correct the setting and run it again.")
