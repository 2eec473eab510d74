"""
How long things live: clients beyond a run of a loop, connections no longer than needed, threads and
processes beside each other.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import re
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
import trio
from anyio.from_thread import start_blocking_portal

from poweremail import (
    AsyncPowerEmail,
    DeliveryUnknownError,
    PowerEmail,
    RetryPolicy,
    Timeouts,
    UsageError,
)
from support.fault_server import FaultServer, respond, stall
from support.messages import message

OPTIONS = {"smtp_user_name": "smtp1", "retry": RetryPolicy(1)}
ENGINES = ("httpx", "httpx2", "aiohttp")
ON_TRIO = ENGINES[:2]
ON_THREADS = ("httpx", "httpx2")


@pytest.mark.parametrize(
    ("run", "engine"),
    [(run, engine) for run in (asyncio.run, anyio.run) for engine in ENGINES]
    + [(trio.run, engine) for engine in ON_TRIO],
)
def test_a_client_outlives_its_loop(run, engine):
    with FaultServer(respond()) as server:
        client = AsyncPowerEmail("owner", "token", base_url=server.url, transport=engine, **OPTIONS)

        async def send():
            for _ in range(2):
                await client.messages.send_mail(message())

        for _ in range(3):
            run(send() if run is asyncio.run else send)
        gc.collect()
    assert (server.posts, server.connections) == (6, 3)


def test_two_loops_at_once_have_their_own_connections():
    with FaultServer(respond()) as server:
        client = AsyncPowerEmail("owner", "token", base_url=server.url, **OPTIONS)

        async def send() -> None:
            async with client.messages.send_many(
                [message() for _ in range(50)], concurrency=4
            ) as outcomes:
                assert {outcome.state async for outcome in outcomes} == {"accepted"}

        with ThreadPoolExecutor(3) as threads:
            runs = [threads.submit(run, send) for run in (anyio.run, anyio.run, trio.run)]
            for each in runs:
                each.result()
        gc.collect()
    assert server.posts == 150
    assert server.connections <= 12


@pytest.mark.parametrize("engine", ENGINES)
def test_a_client_that_one_loop_closes_is_closed_in_all(engine):
    with FaultServer(respond()) as server, start_blocking_portal() as one:
        client = AsyncPowerEmail("owner", "token", base_url=server.url, transport=engine, **OPTIONS)
        derived = client.with_options(retry=RetryPolicy(2))  # it shares the transport only
        one.call(derived.messages.send_mail, message())
        with start_blocking_portal() as other:
            other.call(client.aclose)
        with pytest.raises(UsageError, match="has been closed"):
            one.call(derived.messages.send_mail, message())
    assert server.posts == 1


def test_nothing_is_left_behind():
    """In a process of its own, where every warning at every garbage collection counts."""
    script = """
        import asyncio, sys, warnings
        sys.path.insert(0, "tests")
        from poweremail import AsyncPowerEmail, PowerEmail
        from support.fault_server import FaultServer, respond
        from support.messages import message

        with FaultServer(respond()) as server:
            client = AsyncPowerEmail("owner", "token", base_url=server.url, smtp_user_name="smtp1")

            async def main():
                await client.messages.send_mail(message())

            asyncio.run(main())
            asyncio.run(main())
            with PowerEmail("owner", "token", base_url=server.url, smtp_user_name="smtp1") as sync:
                sync.messages.send_mail(message())
        print("posts", server.posts)
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "posts 3\n", "")


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


async def test_connections_are_reused_and_limited(engine):
    with FaultServer(respond()) as server:
        async with AsyncPowerEmail(
            "owner", "token", base_url=server.url, transport=engine, **OPTIONS
        ) as client:
            async with client.messages.send_many(
                [message() for _ in range(200)], concurrency=50
            ) as outcomes:
                assert {outcome.state async for outcome in outcomes} == {"accepted"}
            assert server.connections <= 20
    assert server.posts == 200


@pytest.mark.parametrize("engine", ON_THREADS)
def test_threads_share_a_client(engine):
    with (
        FaultServer(respond()) as server,
        PowerEmail("owner", "token", base_url=server.url, transport=engine, **OPTIONS) as client,
    ):
        with ThreadPoolExecutor(8) as threads:
            results = list(threads.map(lambda _: client.messages.send_mail(message()), range(100)))
        assert len({result.unique_id for result in results}) == 100
        assert server.connections <= 8
    assert server.posts == 100


async def test_the_sync_client_works_inside_a_running_loop():
    with (
        FaultServer(respond()) as server,
        PowerEmail("owner", "token", base_url=server.url, **OPTIONS) as client,
    ):
        client.messages.send_mail(message())
        with client.messages.send_many([message() for _ in range(10)]) as outcomes:
            assert {outcome.state for outcome in outcomes} == {"accepted"}
    assert server.posts == 11


def test_the_source_is_pulled_in_the_callers_thread():
    threads = set()

    def source():
        for _ in range(20):
            threads.add(threading.current_thread())
            yield message()

    with (
        FaultServer(respond()) as server,
        PowerEmail("owner", "token", base_url=server.url, **OPTIONS) as client,
    ):
        with client.messages.send_many(source()) as outcomes:
            assert len(list(outcomes)) == 20
    assert threads == {threading.current_thread()}


def test_aiohttp_on_trio_raises():
    async def send() -> None:
        async with AsyncPowerEmail(
            "owner", "token", base_url="http://127.0.0.1:1", transport="aiohttp", **OPTIONS
        ) as client:
            await client.messages.send_mail(message())

    with pytest.raises(
        UsageError,
        match="not sent: transport: aiohttp runs on asyncio only .*use transport='httpx'",
    ):
        trio.run(send)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings(
    "ignore:.*fork.*:DeprecationWarning"
)  # the server has threads; the child does not use them
def test_a_client_can_be_used_after_a_fork():
    with (
        FaultServer(respond()) as server,
        PowerEmail("owner", "token", base_url=server.url, **OPTIONS) as client,
    ):
        client.messages.send_mail(message())
        child = multiprocessing.get_context("fork").Process(
            target=client.messages.send_mail, args=(message(),)
        )
        child.start()
        child.join()
        assert child.exitcode == 0
        client.messages.send_mail(message())
    # The child opened a connection of its own; the parent went on with the one it had.
    assert (server.posts, server.connections) == (3, 2)


async def test_a_client_can_be_used_after_a_cancelled_send(engine, caplog):
    with FaultServer(stall, respond()) as server:
        async with AsyncPowerEmail(
            "owner", "token", base_url=server.url, transport=engine, **OPTIONS
        ) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.messages.send_mail, message(unique_id="u1"))
                while not server.posts:
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
            for _ in range(25):
                await client.messages.send_mail(message())
    assert server.posts == 26
    assert "the mail with the unique id u1 may or may not have been accepted" in caplog.text


async def test_a_send_may_have_a_time_limit(engine):
    with FaultServer(stall) as server:
        async with AsyncPowerEmail(
            "owner", "token", base_url=server.url, transport=engine, **OPTIONS
        ) as client:
            with anyio.move_on_after(0.1) as scope:
                await client.messages.send_mail(message())
            assert scope.cancelled_caught
            with pytest.raises(TimeoutError), anyio.fail_after(0.1):
                await client.messages.send_mail(message())


async def test_a_cancelled_batch_is_cancelled():
    with FaultServer(stall) as server:
        async with AsyncPowerEmail("owner", "token", base_url=server.url, **OPTIONS) as client:

            async def batch() -> None:
                async with client.messages.send_many(
                    [message() for _ in range(10)], concurrency=2
                ) as outcomes:
                    async for _ in outcomes:
                        pass

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(batch)
                while server.posts < 2:
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
    assert server.posts == 2


def test_a_task_that_is_cancelled_by_asyncio_itself():
    async def main():
        with FaultServer(stall) as server:
            async with AsyncPowerEmail("owner", "token", base_url=server.url, **OPTIONS) as client:

                async def batch():
                    async with client.messages.send_many(
                        [message() for _ in range(10)], concurrency=2
                    ) as outcomes:
                        async for _ in outcomes:
                            pass

                task = asyncio.create_task(batch())
                while server.posts < 2:
                    await asyncio.sleep(0.01)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        return server.posts

    assert asyncio.run(main()) == 2


async def test_early_exit_waits_no_longer_than_the_timeout():
    with FaultServer(respond(), stall) as server:
        options = OPTIONS | {"timeouts": Timeouts(read=1)}
        async with AsyncPowerEmail("owner", "token", base_url=server.url, **options) as client:
            with anyio.fail_after(30):
                async with client.messages.send_many(
                    [message() for _ in range(10)], concurrency=2
                ) as outcomes:
                    async for outcome in outcomes:
                        assert outcome.state == "accepted"
                        break
    assert server.posts <= 4


def test_a_stalled_send_can_be_interrupted():
    """Ctrl-C ends a send of the sync client, and nothing is repeated."""
    script = """
        import os, signal, sys, threading
        sys.path.insert(0, "tests")
        from poweremail import PowerEmail
        from support.fault_server import FaultServer, stall
        from support.messages import message

        def interrupt(connection):
            connection.read_body()
            os.kill(os.getpid(), signal.SIGINT)
            connection.server.stopped.wait()
            return False

        with FaultServer(interrupt) as server:
            options = {"base_url": server.url, "smtp_user_name": "smtp1"}
            with PowerEmail("owner", "token", **options) as client:
                try:
                    client.messages.send_mail(message())
                except KeyboardInterrupt:
                    print("interrupted", server.posts)
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "interrupted 1\n")
    assert re.fullmatch(
        r"interrupted: the mail with the unique id \w+ may or may not have been accepted\n",
        done.stderr,
    )


async def test_a_wait_for_a_connection_times_out_as_not_sent(engine):
    """A mail that waits for a free connection has not been sent."""
    with FaultServer(stall) as server:
        options = OPTIONS | {"timeouts": Timeouts(read=2, pool=0.2), "transport": engine}
        async with AsyncPowerEmail("owner", "token", base_url=server.url, **options) as client:
            async with client.messages.send_many(
                [message() for _ in range(21)], concurrency=21
            ) as outcomes:
                states = [outcome.state async for outcome in outcomes]
    assert states.count("not_sent") == 1
    assert states.count("unknown") == 20
    assert isinstance(DeliveryUnknownError("x"), Exception)
