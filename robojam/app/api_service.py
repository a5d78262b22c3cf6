"""The HTTP API as a service of its own, without a jam: what `robojam web --api-only` runs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from robojam.config.addresses import format_address, is_loopback
from robojam.system.child_process import termination_signals
from robojam.web import limits
from robojam.web.answerer import Answerer, LostError
from robojam.web.certificate import Certificate, server_context
from robojam.web.port import WebError, best_address

#: Seconds that requests have to be answered after a signal to end.
_PATIENCE: Final = 10.0
#: Seconds between two looks at whether what plays is there.
_WATCH: Final = 1.0
#: Most processes that are started by themselves.
_MOST: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is served.

    address: host and port; "" is all addresses. models: paths of model files, the default
    first. processes: how many play. token: "" for none. origins: pages elsewhere that may ask.
    sampling: temperature, spread, follow and memory where they are not the models' own.
    certificate: what https is served with; None for http.
    """

    address: tuple[str, int]
    models: Sequence[Path]
    processes: int
    token: str = ""
    origins: frozenset[str] = frozenset()
    sampling: dict[str, float] = field(default_factory=dict)
    certificate: Certificate | None = None


def available_cores() -> int:
    """Return how many cores this program may use, but not more than a service starts."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, _MOST)


class Playing(Answerer, Protocol):
    """Answerer that begins when it is first asked for its models, and can be ended."""

    async def close(self) -> None:
        """End what plays."""

    def check(self) -> None:
        """Raise LostError where nothing will ever play again. It may take seconds."""


def run(
    service: Service, on_up: Callable[[str], None], answerer: Playing | None = None
) -> None:
    """Serve until a signal asks for the end; on_up is called with what to print when it is up.

    answerer plays; None stands for processes of this machine. Raises WebError.
    """
    asyncio.run(_run(service, on_up, answerer))


async def _watch(answerer: Playing) -> None:
    """Return never; raises LostError."""
    while True:
        await asyncio.sleep(_WATCH)
        await asyncio.to_thread(answerer.check)


async def _run(
    service: Service, on_up: Callable[[str], None], answerer: Playing | None
) -> None:
    from robojam.web.api import Api
    from robojam.web.api_server import ApiServer
    from robojam.web.workers import Workers

    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in termination_signals():
        with suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, ended.set)
        if os.name == "nt":
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set))
    if answerer is None:
        answerer = Workers(service.models, processes=service.processes, rows=limits.ROWS)
    server = ApiServer(
        Api(answerer, sampling=service.sampling, origins=service.origins), token=service.token
    )
    host, port = service.address
    try:
        try:
            starting = asyncio.ensure_future(answerer.models())
            ending = asyncio.create_task(ended.wait())
            watching = asyncio.create_task(_watch(answerer))
            either = (starting, ending, watching)
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                if watching.done():
                    watching.result()
                return
            starting.result()
            secure = None
            if (certificate := service.certificate) is not None:
                secure = server_context(certificate.path, certificate.key_path)
            port = await server.listen([host] if host else ["0.0.0.0", "::"], port, secure)
        except OSError as error:
            where = format_address(host or "0.0.0.0", port)
            raise WebError(f"nothing can be served at {where}: {error.strerror}") from error
        on_up(_describe(service, host, port))
        await asyncio.wait((watching, ending), return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            watching.result()
        watching.cancel()
        await server.close(_PATIENCE)
    except LostError as error:
        raise WebError(str(error)) from error
    finally:
        await answerer.close()


def _describe(service: Service, host: str, port: int) -> str:
    """Return the line that says where the service is."""
    reached, scheme = host or best_address(), "http"
    if service.certificate is not None:
        reached, scheme = service.certificate.host_for(reached), "https"
    url = f"{scheme}://{format_address(reached, port)}"
    where = "this address" if host else "all addresses of this machine, IPv4 and IPv6"
    if service.token:
        return (
            f"API on {url}/v1/continue?token={service.token} for everybody who has this token, "
            f"at {where}"
        )
    whom = "programs of this machine" if is_loopback(host) else "everybody, without a token"
    return f"API on {url}/v1/continue for {whom}, at {where}"
