"""The openai client as it is used here: it retries nothing, follows nowhere, tells little."""

from __future__ import annotations

import httpx2
from openai import AsyncOpenAI, DefaultAioHttpClient, Timeout

from distilwhy.generators.api_endpoint import Endpoint

CONNECT_SECONDS = 20.0
KEEP_ALIVE_SECONDS = 4.0  # less than most servers', which would close a connection under a request
SENT_HEADERS = {
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "user-agent",
}


def open_client(endpoint: Endpoint, concurrency: int) -> AsyncOpenAI:
    """Return a client for an endpoint; to be closed by the caller.

    The client takes more from the environment than the key (an organisation, a project, headers,
    proxies). That is meant for OpenAI, so that other servers get the headers of a request, and the
    key that is theirs, alone.

    Args:
        endpoint: The server and its key.
        concurrency: Connections at once.
    """

    async def strip(request: httpx2.Request) -> None:
        for name in list(request.headers):
            if name.lower() not in SENT_HEADERS:
                del request.headers[name]
        if endpoint.key:
            request.headers["authorization"] = f"Bearer {endpoint.key}"

    # httpx's own transport looks through all connections for each request; with dozens of them it
    # takes twice the time of aiohttp's.
    timeout = Timeout(None, connect=CONNECT_SECONDS)  # the whole request is timed by its sender
    http = DefaultAioHttpClient(
        base_url=endpoint.url,
        follow_redirects=False,
        limits=httpx2.Limits(
            max_connections=concurrency,
            max_keepalive_connections=concurrency,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
        ),
        timeout=timeout,
        event_hooks={"request": [] if endpoint.is_openai else [strip]},
    )
    # A client without a key refuses to work; the hook takes the placeholder away again.
    return AsyncOpenAI(
        api_key=endpoint.key or "none",
        base_url=endpoint.url,
        max_retries=0,
        timeout=timeout,
        http_client=http,
    )
