"""HTTP API: continuations of performances, for other programs and for MicroJam.

The application, apart from where it runs and from what plays: requests are read and checked
here, and answered by a robojam.web.answerer.Answerer. robojam.web.api_server serves it alone,
robojam.web.server beside the pads of a jam.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections import Counter, deque
from collections.abc import Mapping
from statistics import quantiles
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec
from aiohttp import ClientPayloadError, web

from robojam import __version__
from robojam.config.addresses import is_loopback
from robojam.limits import network_of
from robojam.web import limits, openapi
from robojam.web.answerer import Answerer, BusyError, LostError
from robojam.web.api_types import (
    PREDICTED,
    Continuation,
    ContinueAnswer,
    ContinueRequest,
    Fault,
    InvalidError,
    Model,
    ModelInfo,
    PredictAnswer,
    PredictRequest,
    Wanted,
    call_of,
    check_size,
    decode,
)

#: Paths, and the method of each.
PATHS: Final = {"/api/predict": "POST", "/v1/continue": "POST", "/v1/openapi.json": "GET"}
#: What every answer says, also to a page that may read it.
_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
#: Bits of a seed that is drawn: a number of JavaScript holds no more.
_SEED_BITS: Final = 53
#: Answers whose times are remembered.
_RECENT: Final = 1000
#: Seconds for which a browser may remember what a page is allowed.
_PREFLIGHT: Final = 600


class _RefusalError(Exception):
    """A request that is answered with a status and a reason."""

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        super().__init__(reason)
        self.status, self.headers = status, headers


class Api:
    """The API, of one answerer."""

    def __init__(
        self,
        answerer: Answerer,
        *,
        sampling: Mapping[str, float] | None = None,
        origins: frozenset[str] = frozenset(),
    ) -> None:
        """Answer with an answerer.

        sampling holds temperature, spread, follow and memory where they are not those of the
        model, and 0. origins are those of pages elsewhere that may ask, "*" stands for all.
        """
        self._answerer, self._origins = answerer, origins
        self._sampling = dict(sampling or {})
        self._document = msgspec.json.encode(openapi.document())
        self._counts = Counter[str]()
        self._times = deque[float](maxlen=_RECENT)

    def answers(self, path: str) -> bool:
        """Return whether a path is one of the API's."""
        return path in PATHS

    async def answer(self, request: web.BaseRequest, host: str) -> web.Response:
        """Answer a request of a host, for one of PATHS. Cancelled, it drops the work."""
        began = time.monotonic()
        try:
            allowed = self._origin(request)
        except _RefusalError as refusal:
            return self._refuse(refusal, {})
        try:
            if request.method == "OPTIONS":
                return self._preflight(request, allowed)
            response = await self._answer(request, host)
        except _RefusalError as refusal:
            return self._refuse(refusal, allowed)
        except InvalidError as error:
            return self._refuse(_RefusalError(400, str(error)), allowed)
        except BusyError as error:
            status = 429 if error.of_host else 503
            wait = str(math.ceil(error.retry_after))
            busy = _RefusalError(status, f"{error}: try again", **{"Retry-After": wait})
            return self._refuse(busy, allowed)
        except LostError as error:
            return self._refuse(_RefusalError(503, str(error), **{"Retry-After": "5"}), allowed)
        except asyncio.CancelledError:
            self._counts["gone"] += 1
            raise
        if request.method == "POST":
            self._counts["answered"] += 1
            self._times.append(time.monotonic() - began)
        response.headers.update(allowed)
        return response

    def report(self) -> dict[str, Any]:
        """Return counts of requests by their end, their times, and what the answerer does.

        latency_ms are of the last 1000 answers, from the head of a request on.
        """
        latency: dict[str, float | None] = {"p50": None, "p99": None}
        if len(self._times) > 1:
            shares = quantiles(self._times, n=100, method="inclusive")
            latency = {f"p{n}": round(1000 * shares[n - 1], 1) for n in (50, 99)}
        counts = {name: self._counts[name] for name in ("answered", "refused", "busy", "gone")}
        return {"requests": counts, "latency_ms": latency, **self._answerer.report()}

    # -- requests --------------------------------------------------------------------------

    async def _answer(self, request: web.BaseRequest, host: str) -> web.Response:
        method = PATHS[request.path]
        if request.method != method and not (request.method, method) == ("HEAD", "GET"):
            raise _RefusalError(405, f"{request.path} is asked with {method}", Allow=method)
        if request.path == "/v1/openapi.json":
            return _json(self._document)
        owner = "" if is_loopback(host) else network_of(host)
        try:
            async with asyncio.timeout(limits.BODY_PATIENCE):
                body = await _read(request)
        except TimeoutError:
            reason = f"the body did not come within {limits.BODY_PATIENCE:g} s"
            raise _RefusalError(408, reason, Connection="close") from None
        try:
            async with asyncio.timeout(limits.DEADLINE):
                if request.path == "/api/predict":
                    return await self._predict(request, body, owner)
                _check_type(request, _JSON)
                return await self._continue(decode(body, ContinueRequest), owner)
        except TimeoutError:
            reason = f"it could not be answered within {limits.DEADLINE:g} s: try again"
            raise _RefusalError(503, reason, **{"Retry-After": "10"}) from None

    async def _continue(self, asked: ContinueRequest, owner: str) -> web.Response:
        check_size(asked)
        model = await self._model(asked.model)
        given = {n: getattr(asked, n) for n in ("temperature", "spread", "follow", "memory")}
        sampling = self._sampling_of(model, given)
        seed = secrets.randbits(_SEED_BITS) if asked.seed is None else asked.seed
        call = call_of(asked.touches)
        wanted = [
            Wanted(
                model=model.name, call=call, seconds=asked.seconds, seed=seed, number=number,
                silence=asked.silence, **sampling,
            )
            for number in range(asked.count)
        ]  # fmt: skip
        answers = await self._answerer.answer(wanted, owner=owner)
        made = ContinueAnswer(
            continuations=[Continuation(msgspec.Raw(each)) for each in answers],  # type: ignore[arg-type]
            seed=seed,
            model=Model(model.name, model.sha256),
            version=__version__,
            **sampling,
        )
        return _json(msgspec.json.encode(made))

    async def _predict(self, request: web.BaseRequest, body: bytes, owner: str) -> web.Response:
        performance = _performance(request, body)
        model = await self._model(None)
        wanted = Wanted(
            model=model.name, call=performance, seconds=PREDICTED,
            seed=secrets.randbits(_SEED_BITS), number=0, silence=0.0,
            **self._sampling_of(model, {}),
        )  # fmt: skip
        (answer,) = await self._answerer.answer([wanted], owner=owner)
        return _json(msgspec.json.encode(PredictAnswer(answer.decode())))

    async def _model(self, name: str | None) -> ModelInfo:
        models = await self._answerer.models()
        found = [model for model in models if name in (None, model.name)]
        if not found:
            names = ", ".join(model.name for model in models)
            raise InvalidError(f"model: there is none of this name; there are {names}")
        return found[0]

    def _sampling_of(
        self, model: ModelInfo, given: Mapping[str, float | None]
    ) -> dict[str, float]:
        """Return how a model is played: as given, as the server was started, or its own way."""
        own = {
            "temperature": model.temperature, "spread": model.spread,
            "follow": 0.0, "memory": 0.0,
        }  # fmt: skip
        if model.plans:
            own |= self._sampling
        else:
            own |= {n: v for n, v in self._sampling.items() if n in ("temperature", "spread")}
        own |= {name: value for name, value in given.items() if value is not None}
        for name in ("follow", "memory"):
            if own[name] and not model.plans:
                raise InvalidError(f"{name}: the model {model.name} has no matcher, so only 0")
        return own

    # -- pages of other addresses ----------------------------------------------------------

    def _origin(self, request: web.BaseRequest) -> dict[str, str]:
        """Return headers that let a page read the answer. Raises for others."""
        origin = request.headers.get("Origin")
        if origin is None or urlsplit(origin).netloc == request.host:
            return {}
        if "*" in self._origins:
            return {"Access-Control-Allow-Origin": "*"}
        if origin in self._origins:
            return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        raise _RefusalError(403, "pages of this origin may not ask here (--allow-origin)")

    def _preflight(self, request: web.BaseRequest, allowed: dict[str, str]) -> web.Response:
        headers = {
            "Allow": f"{PATHS[request.path]}, OPTIONS",
            "Access-Control-Allow-Methods": PATHS[request.path],
            "Access-Control-Allow-Headers": "Content-Type, Authorization",
            "Access-Control-Max-Age": str(_PREFLIGHT),
        }
        return web.Response(status=204, headers=headers | allowed)

    def _refuse(self, refusal: _RefusalError, allowed: dict[str, str]) -> web.Response:
        self._counts["busy" if refusal.status in (429, 503) else "refused"] += 1
        return fault(refusal.status, str(refusal), **refusal.headers, **allowed)


def fault(status: int, reason: str, **headers: str) -> web.Response:
    """Return the answer to a request that cannot be answered otherwise."""
    body = msgspec.json.encode(Fault(reason))
    return web.Response(
        status=status, body=body, content_type=_JSON, headers=_HEADERS | headers
    )


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=_JSON, headers=_HEADERS)


def _check_type(request: web.BaseRequest, *allowed: str) -> None:
    """Check the type of a body. Raises _RefusalError."""
    found = request.headers.get("Content-Type")
    if found is not None and request.content_type not in allowed:
        wanted = " or ".join(allowed)
        raise _RefusalError(
            415, f"Content-Type: expected {wanted}, got {request.content_type:.60}"
        )


def _performance(request: web.BaseRequest, body: bytes) -> str:
    """Return the performance in the body of a request. Raises an error for none."""
    _check_type(request, _JSON, _FORM)
    if request.headers.get("Content-Type") is None or request.content_type == _JSON:
        return decode(body, PredictRequest).perf
    # As RoboJam's service has it: a field with the performance as a string of JSON.
    try:
        fields = dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=8))
    except ValueError as error:
        raise InvalidError("perf: the form has too many fields") from error
    perf = fields.get("perf")
    if perf is None:
        raise InvalidError("perf: the form has no such field")
    return decode(perf.encode(), str) if perf.startswith('"') else perf


async def _read(request: web.BaseRequest) -> bytes:
    """Return the body of a request. Raises _RefusalError for one that is too long."""
    too_long = _RefusalError(
        413, f"the body has more than {limits.MAX_BODY:,} bytes", Connection="close"
    )
    if (request.content_length or 0) > limits.MAX_BODY:
        raise too_long
    body = bytearray()
    try:
        async for part in request.content.iter_any():
            body += part
            if len(body) > limits.MAX_BODY:
                raise too_long
    except (ClientPayloadError, ConnectionError, web.RequestPayloadError) as error:
        raise _RefusalError(400, "the body of the request is cut off") from error
    return bytes(body)
