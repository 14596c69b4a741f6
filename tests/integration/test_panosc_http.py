"""The served PaNOSC search API through a real web server: what percent-encoding and headers become there."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import quote

import aiohttp
import pytest
import uvicorn
from yarl import URL

from central_portal.panosc.app import SearchApi
from tests.standins import panosc

PID = "20.500.12269/panosc-dataset1"


@pytest.fixture
async def base() -> AsyncIterator[str]:
    api = SearchApi(panosc.records(panosc.specification()))
    server = uvicorn.Server(uvicorn.Config(api, log_config=None, lifespan="off", ws="none", http="httptools"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.create_task(server.serve(sockets=[listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await task


async def test_a_pid_with_a_slash_is_one_pid(base: str) -> None:
    async with aiohttp.ClientSession() as session:
        url = URL(f"{base}/Datasets/{quote(PID, safe='')}", encoded=True)
        async with session.get(url) as answer:
            assert answer.status == 200
            assert answer.content_type == "application/json"
            assert (await answer.json())["pid"] == PID
        async with session.get(URL(f"{url}/files", encoded=True)) as answer:
            assert [each["name"] for each in await answer.json()] == ["panosc-file1.hdf"]
        async with session.get(f"{base}/Datasets/20.500.12269/panosc-dataset1") as answer:
            assert answer.status == 404
        async with session.head(f"{base}/Datasets") as answer:
            assert (answer.status, await answer.read()) == (200, b"")


async def test_a_filter_in_a_query_and_a_refusal(base: str) -> None:
    asked = {"where": {"text": "dataset 2"}, "include": [{"relation": "instrument"}]}
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{base}/Datasets", params={"filter": json.dumps(asked)}) as answer:
            (found,) = await answer.json()
            assert found["instrument"]["name"] == "ODIN"
        async with session.get(f"{base}/Datasets", params={"filter": "{"}) as answer:
            assert answer.status == 400
            assert await answer.json() == {
                "error": {"statusCode": 400, "name": "BadRequestError", "message": "The filter is no JSON."}
            }
