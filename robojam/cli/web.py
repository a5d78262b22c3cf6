"""The command web: the HTTP API as a service, without a jam."""

from __future__ import annotations

import re
import secrets
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from robojam.cli.arguments import (
    Command,
    option,
    ray_option,
    sampling_options,
    whole_number,
)
from robojam.cli.output import fail
from robojam.config.addresses import WEB_PORT, is_loopback, parse_web
from robojam.system.child_process import termination_signals
from robojam.system.log_queue import print_line

if TYPE_CHECKING:
    from robojam.app.api_service import Service

_ADDRESS: Final = f"127.0.0.1:{WEB_PORT}"
_PROCESSES: Final = (
    "processes that play at the same time (default: one for each core; with --ray as many as "
    "there is work for, up to that)"
)
_TOKEN: Final = (
    "token that requests need (default: $ROBOJAM_WEB_TOKEN; none at a loopback address; "
    "elsewhere one that is drawn and printed)"
)
_CERTIFICATE: Final = (
    "certificate in PEM, with its key in the same file or in another: https (default: http)"
)
_ALLOWED: Final = re.compile(r"[A-Za-z0-9_-]{8,200}")
_ORIGIN: Final = (
    "origin of web pages elsewhere that may ask, as https://example.org, or *; can be repeated"
)


@click.command(cls=Command)
@option("--api-only", "serve the HTTP API alone; a jam serves pads, too, with its own --web")
@option(
    "--web [HOST:]PORT",
    f"address to serve at; without a host, all addresses of this machine (default: {_ADDRESS})",
    field="address",
    default=_ADDRESS,
)
@option("--web-cert FILE[:KEY]", _CERTIFICATE, field="certificate")
@option("--model FILE", "model that plays (default: touch); can be repeated", multiple=True)
@option("--processes N", _PROCESSES, whole_number(1, 64))
@option("--token TEXT", _TOKEN, envvar="ROBOJAM_WEB_TOKEN")
@option("--no-token", "let everybody ask who can reach the address", field="is_open")
@option("--allow-origin ORIGIN", _ORIGIN, field="origins", multiple=True)
@ray_option
@sampling_options
def web(
    *,
    api_only: bool,
    address: str,
    certificate: str | None,
    model: tuple[str, ...],
    processes: int | None,
    token: str | None,
    is_open: bool,
    origins: tuple[str, ...],
    ray: str | None,
    **given: float | None,
) -> int:
    """Serve continuations to other programs by HTTP."""
    for number in termination_signals():
        signal.signal(number, lambda *_: sys.exit(0))  # as long as nothing has started
    from robojam.app import api_service
    from robojam.model.file import ModelFileError, find
    from robojam.web import port as web_port
    from robojam.web.certificate import load

    if not api_only:
        fail("pads come with a jam: robojam jam --web. For the HTTP API alone, add --api-only")
    if token is not None and (is_open or not _ALLOWED.fullmatch(token)):
        fail(
            "--token is 8 to 200 letters, digits, - and _ of ASCII, and does not go with "
            "--no-token"
        )
    try:
        where = parse_web(address)
        if where is None:
            fail("--web none leaves nothing to serve")
        web_port.check(*where, certificate)
        paths = [find(name) for name in model or (None,)]
    except (ValueError, ModelFileError) as error:
        fail(error)
    names = [path.stem for path in paths]
    if len(set(names)) < len(names):
        fail(f"two models have one name, by which they are asked for: {', '.join(names)}")
    if token is None and not is_open and not is_loopback(where[0]):
        token = secrets.token_urlsafe(12)
    sampling: dict[str, Any] = {n: v for n, v in given.items() if v is not None}
    service = api_service.Service(
        address=where,
        models=paths,
        processes=processes or api_service.available_cores(),
        token=token or "",
        origins=frozenset(origins),
        sampling=sampling,
        certificate=None if certificate is None else load(certificate),
    )

    def on_up(line: str) -> None:
        print_line(line, sys.stdout)

    try:
        if ray is None:
            api_service.run(service, on_up)
        else:
            _run_on_cluster(service, ray, processes, on_up)
    except web_port.WebError as error:
        fail(error)
    return 0


def _run_on_cluster(
    service: Service, address: str, replicas: int | None, on_up: Callable[[str], None]
) -> None:
    """Serve with replicas on a cluster: of a given number, or as the work needs."""
    from robojam.app import api_service
    from robojam.cluster.connect import ClusterError, connected
    from robojam.cluster.serving import ServeAnswerer

    host, port = service.address
    try:
        with connected(address, cores=replicas if address == "local" else None) as cluster:
            answerer = ServeAnswerer(
                cluster, service.models, name=f"robojam-{host}-{port}", replicas=replicas
            )
            api_service.run(service, on_up, answerer)
    except ClusterError as error:
        fail(error)
