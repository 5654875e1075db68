"""The Management API of Supabase, or of its stand-in: one client with a part for each subject.

Documents: https://api.supabase.com/api/v1, https://supabase.com/docs/reference/api.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

import httpx

from engines.supabase.addons import Addons
from engines.supabase.api_keys import Keys
from engines.supabase.backups import PlatformBackups
from engines.supabase.buckets import Buckets
from engines.supabase.configuration import Configuration
from engines.supabase.database import Database
from engines.supabase.errors import AuthError, UnavailableError
from engines.supabase.function_secrets import FunctionSecrets
from engines.supabase.functions import Functions
from engines.supabase.hostnames import Hostnames
from engines.supabase.limits import Limiter, shared_limiter
from engines.supabase.organizations import Organizations
from engines.supabase.overview import Overview
from engines.supabase.projects import Projects
from engines.supabase.session import ATTEMPTS, Session, Timing, tls
from engines.supabase.signing_keys import SigningKeys
from engines.supabase.third_party import ThirdParties

if TYPE_CHECKING:
    from types import TracebackType

# Enough to read all of a project at once.
CONNECTIONS = 20


class ManagementClient:
    """A session with the Management API; use it in a `with` statement. Several threads may share it.

    Attributes:
        organizations, projects, keys, configuration, overview, database, functions, function_secrets,
        signing_keys, third_parties, addons, hostnames, backups, buckets: the parts, by subject.
        pause: waits a number of seconds, as the client itself does.
    """

    def __init__(
        self,
        api_url: str,
        token: str,
        *,
        transport: httpx.BaseTransport | None = None,
        limiter: Limiter | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Open a session; nothing is sent yet.

        Args:
            api_url: where the API is, `https://api.supabase.com` for the real one.
            token: a personal access token.
            transport: what carries the requests; None: the network.
            limiter: keeps to the rate limit; None: the one that the process has for this token.
            timing: how to wait; None: with the clock, and as long as suits an update.

        Raises:
            UnavailableError: `api_url` is no URL.
            AuthError: `token` holds what no token does, such as a line end.
        """
        url = _checked_url(api_url)
        self._http = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {_checked_token(token)}", "user-agent": "groundwork"},
            transport=transport,
            verify=tls(),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
        )
        limiter = limiter or shared_limiter(str(url), token)
        session = Session(self._http, token, limiter, timing or default_timing())
        self.pause = session.pause
        self.organizations = Organizations(session)
        self.projects = Projects(session)
        self.keys = Keys(session)
        self.configuration = Configuration(session)
        self.overview = Overview(session)
        self.database = Database(session)
        self.functions = Functions(session)
        self.function_secrets = FunctionSecrets(session)
        self.signing_keys = SigningKeys(session)
        self.third_parties = ThirdParties(session)
        self.addons = Addons(session)
        self.hostnames = Hostnames(session)
        self.backups = PlatformBackups(session)
        self.buckets = Buckets(session)

    def __enter__(self) -> Self:
        """Give the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._http.close()


def default_timing(*, timeout_s: float = 30.0, attempts: int = ATTEMPTS) -> Timing:
    """Wait with the real clock.

    Args:
        timeout_s: seconds without a byte after which a request counts as lost.
        attempts: how often a request that may be repeated is tried.
    """
    return Timing(time.sleep, time.monotonic, timeout_s, attempts)


def _checked_url(api_url: str) -> httpx.URL:
    try:
        url = httpx.URL(api_url)
    except httpx.InvalidURL as error:
        raise UnavailableError(f"`groundwork:supabase.api_url` is no URL: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise UnavailableError(f"`groundwork:supabase.api_url` is {api_url!r}; expected https://HOST")
    return url


def _checked_token(token: str) -> str:
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        text = "holds a space, a line end or a letter that no token has; copy it again"
        raise AuthError(f"`groundwork:supabase.access_token` {text}")
    return token
