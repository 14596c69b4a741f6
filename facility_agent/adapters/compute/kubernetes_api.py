"""The cluster's API as few calls as the adapter needs. Every fault becomes one of `shared.errors`, here.

The library does what is easy to get wrong (kubeconfig files, certificates, rotating tokens); answers are read here as plain
JSON, because each must be bounded in time and size and an older or newer server's objects must not fail a model.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from shared.errors import BackendError, BackendUnavailable, Conflict, NotFound, QuotaExceeded

log = logging.getLogger(__name__)
WITHIN_S = 10.0
LONGEST = 32 * 2**20
LONGEST_LINE = 4 * 2**20
"""Of a watch: an object has at most 1.5 MiB in etcd."""
TRIES = 4
AWAY = "The facility's cluster does not answer at the moment."
REFUSED = "The facility's cluster refused this; its operators can see why in the agent's log."
NOT_ALLOWED = "The facility's agent may not do this at its cluster; its operators have to mend that."


class Gone(Exception):
    """410: what was watched from is too old; list again."""


class KubernetesApi:
    """A connection, made at the first call and again with fresh credentials when the server does not know them any more."""

    def __init__(self, kubeconfig: Path | None) -> None:
        self._kubeconfig = kubeconfig
        self._client: Any = None
        self._making = asyncio.Lock()

    async def close(self) -> None:
        """Close it; the next call opens another."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The server's answer.

        429, 5xx, silence and half an answer are tried again, four times at most. Raises NotFound, Conflict (409 for
        what exists), QuotaExceeded; BackendError for any other refusal, after which nothing was done;
        BackendUnavailable when it is unknown whether it was done.
        """
        for attempt in range(TRIES):
            try:
                return await self._once(method, path, query, body)
            except BackendUnavailable:
                if attempt == TRIES - 1:
                    raise
            await asyncio.sleep(random.uniform(0.5, 1.0) * 0.2 * 2**attempt)
        raise AssertionError

    async def text(self, path: str, query: Mapping[str, str]) -> str:
        """A text answer, bounded. Raises as `ask`, without trying again."""
        async with self._request("GET", path, query, None, WITHIN_S) as response:
            return (await _read(response)).decode(errors="replace")

    @asynccontextmanager
    async def watch(
        self, path: str, query: Mapping[str, str], lasting_s: int
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """The events of a watch, as JSON objects; entered when the server has accepted it.

        It ends when the server ends it, at the latest after `lasting_s`. Raises Gone, and as `ask`.
        """
        asked = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(lasting_s)}
        async with self._request("GET", path, asked, None, lasting_s + WITHIN_S) as response:
            yield _events(response)

    async def _once(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        async with self._request(method, path, query, body, WITHIN_S) as response:
            answer = _parsed(await _read(response))
        if not isinstance(answer, dict) or "kind" not in answer:
            raise BackendUnavailable(AWAY)
        return answer

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        within_s: float,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        client = await self._connected()
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        timeout = aiohttp.ClientTimeout(total=within_s, sock_connect=WITHIN_S)
        try:
            response = await client.call_api(
                path, method, query_params=list((query or {}).items()), header_params=headers, body=body,
                auth_settings=["BearerToken"], _preload_content=False, _return_http_data_only=True,
                _request_timeout=timeout,
            )  # fmt: skip
            async with response:
                if response.status >= 400:
                    await self._refused(client, method, path, response)
                yield response
        except (OSError, TimeoutError, aiohttp.ClientError, ValueError) as error:
            raise BackendUnavailable(AWAY) from error

    async def _refused(self, client: Any, method: str, path: str, response: aiohttp.ClientResponse) -> None:
        said = _parsed(await _read(response, 64 * 1024))
        status = said if isinstance(said, dict) and said.get("kind") == "Status" else {}
        message = str(status.get("message", ""))[:500]
        if response.status == 401:  # what it was let in with may have been renewed meanwhile
            if self._client is client:
                await self.close()
            raise BackendUnavailable(AWAY)
        if response.status == 410:
            raise Gone
        if not status or response.status == 429 or response.status >= 500:
            raise BackendUnavailable(AWAY)  # a proxy's page is no word of the cluster's
        if response.status == 404:
            raise NotFound
        if response.status == 409:
            raise Conflict
        log.warning("the cluster refused %s %s: %s", method, path, message)
        if response.status == 403:
            if "exceeded quota" in message or "maximum" in message:
                raise QuotaExceeded("The facility's cluster has no quota left for this.")
            raise BackendError(NOT_ALLOWED)
        raise BackendError(REFUSED)

    async def _connected(self) -> Any:
        async with self._making:
            if self._client is None:
                try:
                    self._client = await _connect(self._kubeconfig)
                except Exception as error:
                    raise BackendUnavailable(AWAY) from error
            return self._client


async def _connect(kubeconfig: Path | None) -> Any:
    # Its models are some 700 modules: they are read when there is a cluster to ask, in a thread.
    client, config = await asyncio.to_thread(_library)
    made = client.Configuration()
    if kubeconfig is not None:
        await config.load_kube_config(config_file=str(kubeconfig), client_configuration=made, persist_config=False)
    else:
        config.load_incluster_config(client_configuration=made)
    if made.host.startswith("http://") and made.host.split("/")[2].rpartition(":")[0] not in (
        "127.0.0.1",
        "[::1]",
    ):
        raise ValueError("the cluster's address must be https")
    return client.ApiClient(configuration=made)


def _library() -> tuple[Any, Any]:
    from kubernetes.aio import client, config

    return client, config


async def _read(response: aiohttp.ClientResponse, longest: int = LONGEST) -> bytes:
    whole = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        whole += chunk
        if len(whole) > longest:
            raise BackendUnavailable("The facility's cluster answers more than can be read.")
    return bytes(whole)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Any]:
    rest = bytearray()
    async for chunk in response.content.iter_any():
        rest += chunk
        *lines, last = rest.split(b"\n")
        rest = bytearray(last)
        if len(rest) > LONGEST_LINE:
            raise BackendUnavailable(AWAY)
        for line in lines:
            if line.strip():
                event = _parsed(bytes(line))
                if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
                    raise BackendUnavailable(AWAY)
                yield event
    if rest.strip():  # half an event, or no events at all
        raise BackendUnavailable(AWAY)
