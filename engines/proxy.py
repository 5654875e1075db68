"""The configuration of the HAProxy that stands before the containers of a stack.

Containers come and go; callers keep one address. HAProxy follows the tasks of a Swarm service by DNS
(`tasks.NAME`), asks each at `/ready` whether it takes new requests, and repeats on another task what failed
before it could have had an effect. The text is good for HAProxy 2.6 and later.

Sources: HAProxy 2.6 configuration manual (server-template, resolvers, http-check disable-on-404, retry-on,
disable-l7-retry, observe, fd-hard-limit); TLS as in Mozilla's "intermediate" profile, version 5.7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The engine's own DNS server, the same in every container (docs.docker.com, "Container networking").
DOCKER_DNS = "127.0.0.11:53"
# How long streams of an old process live on after SIGUSR1.
HARD_STOP_S = 60
# Places for tasks; a service has twice its replicas while it is updated. A free place costs nothing.
SLOTS = 32

_PLAIN = re.compile(r"[A-Za-z0-9_.:/\[\]-]+")
_CIPHERS = ":".join(
    f"ECDHE-{signature}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for signature in ("ECDSA", "RSA")
)


@dataclass(frozen=True, kw_only=True)
class Route:
    """One service that is reached through the proxy.

    Attributes:
        name: its name in logs, such as `app`.
        tasks: the DNS name of all its containers, such as `tasks.product-app`.
        port: the TCP port at which they listen.
        listen: the port at which the proxy takes plain HTTP for it.
        listen_tls: the port for HTTPS; None: no TLS.
    """

    name: str
    tasks: str
    port: int
    listen: int
    listen_tls: int | None = None


@dataclass(frozen=True, kw_only=True)
class Redirect:
    """A port that only sends callers on.

    Attributes:
        listen: the port for plain HTTP.
        to: the address that takes its place, such as https://app.example.com; the path is kept.
    """

    listen: int
    to: str


def configuration(
    routes: Sequence[Route],
    *,
    certificate: str | None = None,
    redirect: Redirect | None = None,
    resolver: str = DOCKER_DNS,
) -> str:
    """Write the whole file.

    Args:
        routes: the services.
        certificate: path of a PEM file with key and chain, where a route has `listen_tls`.
        redirect: a port for plain HTTP that answers with a redirect.
        resolver: address and port of the DNS server that knows the tasks.

    Raises:
        ValueError: a value would not stay one word in the file.
    """
    parts = [_GLOBAL, _DEFAULTS, _resolvers(_word(resolver))]
    for route in routes:
        parts += [_frontend(route, certificate), _backend(route), _unchecked(route)]
    if redirect:
        parts.append(_redirecting(redirect))
    return "\n".join(parts)


def _word(text: str) -> str:
    if not _PLAIN.fullmatch(text):
        raise ValueError(
            f"{text!r} cannot be written into HAProxy's configuration; use letters, digits, _ . : / -"
        )
    return text


_GLOBAL = f"""\
global
    log stdout format raw local0 info
    # Engines allow a process up to a billion files; HAProxy, which derives maxconn from that, would reserve
    # memory for each of them.
    fd-hard-limit 20000
    hard-stop-after {HARD_STOP_S}s
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
    ssl-default-bind-ciphers {_CIPHERS}
"""

_DEFAULTS = """\
defaults
    mode http
    log global
    # Only what went wrong, without the query: it may hold what is nobody's business.
    option dontlog-normal
    option dontlognull
    log-format "%ci %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %rc %HM %HPO"
    option forwardfor
    # A connection to a task serves one request: none is sent into one that the task is about to close.
    option http-server-close
    option http-no-delay
    # The next try goes to another task. What counts as a failure worth one: nothing came back.
    option redispatch 1
    retries 5
    retry-on conn-failure empty-response
    timeout http-request 10s
    timeout http-keep-alive 60s
    # A kernel answers for a busy process too; who does not within this is gone; the next try is elsewhere.
    timeout connect 150ms
    timeout queue 30s
    timeout check 3s
    # Silence, not length: an answer that streams may take as long as it needs.
    timeout client 5m
    timeout server 5m
    # More at once would not be quicker, only keep a container from answering at all: the rest waits here for
    # whichever container is free, and `/ready` gets through.
    default-server maxconn 128
    # One bad answer is enough to drain (404), one good one to serve; it takes three to be given up, for a
    # machine that is busy is not dead. Who cannot be connected to gets nobody before the next good answer.
    default-server inter 1s fastinter 500ms downinter 500ms rise 1 fall 3
    default-server observe layer4 error-limit 1 on-error mark-down
"""


def _resolvers(address: str) -> str:
    return f"""\
resolvers engine
    nameserver engine {address}
    accepted_payload_size 8192
    resolve_retries 3
    timeout resolve 250ms
    timeout retry 500ms
    hold valid 250ms
    # A task that left the name gets nothing new, at once; DNS that is away for a moment changes nothing.
    hold obsolete 0s
    hold nx 10s
    hold other 30s
    hold refused 30s
    hold timeout 30s
"""


def _frontend(route: Route, certificate: str | None) -> str:
    return f"""\
frontend {_word(route.name)}
{chr(10).join(_binds(route, certificate))}
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    # What another proxy before this one says stays.
    acl told req.hdr(X-Forwarded-Proto) -m found
    http-request set-header X-Forwarded-Proto http unless {{ ssl_fc }} || told
    # Better to try tasks that did not answer in time than to refuse: so a starved machine goes on serving.
    use_backend {route.name}-unchecked if {{ nbsrv({route.name}) eq 0 }}
    default_backend {route.name}
"""


def _binds(route: Route, certificate: str | None) -> Iterator[str]:
    yield f"    bind :{route.listen:d}"
    if certificate and route.listen_tls:
        yield f"    bind :{route.listen_tls:d} ssl crt {_word(certificate)} alpn h2,http/1.1"


def _backend(route: Route) -> str:
    return f"""\
backend {route.name}
    balance leastconn
{_SAFE_RETRIES}
    option httpchk
    http-check send meth GET uri /ready ver HTTP/1.1 hdr Host {route.name}
    http-check disable-on-404
    server-template {route.name} {SLOTS} {_tasks(route)} check
"""


def _unchecked(route: Route) -> str:
    return f"""\
backend {route.name}-unchecked
    balance leastconn
{_SAFE_RETRIES}
    server-template {route.name} {SLOTS} {_tasks(route)}
"""


# What never reached a task may always be repeated; HAProxy does that by itself. What did reach one may be
# repeated only if a second time does no harm: by its method, or because the caller gave it a key.
_SAFE_RETRIES = """\
    acl repeatable method GET HEAD OPTIONS
    acl keyed req.hdr(Idempotency-Key) -m found
    # Only what lies here as a whole can be sent again.
    http-request wait-for-body time 10s if keyed
    http-request disable-l7-retry unless repeatable || keyed"""


def _tasks(route: Route) -> str:
    return f"{_word(route.tasks)}:{route.port:d} resolvers engine resolve-prefer ipv4 init-addr none"


def _redirecting(redirect: Redirect) -> str:
    return f"""\
frontend redirect
    bind :{redirect.listen:d}
    http-request redirect prefix {_word(redirect.to)} code 308
"""
