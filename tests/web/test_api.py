"""HTTP API at a real socket: requests, errors, tokens, other origins, clients who go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlencode

import pytest
from support.api import FakeAnswerer, RunningApi, running_api

from robojam import __version__
from robojam.web import limits
from robojam.web.answerer import BusyError, LostError

DOWN = {"x": 0.5, "y": 0.25, "dt": 0, "phase": "down"}
CSV = "time,x,y,z,moving\n0.005213, 0.711230, 0.070856, 25.5, 0\n0.1, 0.72, 0.06, 25.5, 1\n"

Work = Callable[[RunningApi], Coroutine[Any, Any, None]]


def serve(work: Work, answerer: FakeAnswerer | None = None, **options: Any) -> FakeAnswerer:
    """Serve the API while some work is done with it."""
    answerer = answerer or FakeAnswerer()

    async def run() -> None:
        async with asyncio.timeout(60), running_api(answerer, **options) as api:
            await work(api)

    asyncio.run(run())
    return answerer


def refused(path: str, wanted: str, body: Any = None, *, status: int = 400, **more: Any) -> str:
    """Ask for something that must be refused; return the error, which names something."""
    errors: list[str] = []

    async def work(api: RunningApi) -> None:
        found, answer, headers = await api.post(path, body, **more)
        assert found == status, answer
        assert list(answer) == ["error"]
        assert headers["Content-Type"] == "application/json"
        errors.append(answer["error"])

    asked = serve(work).asked
    assert not asked
    assert wanted in errors[0], errors[0]
    assert "Traceback" not in errors[0]
    assert errors[0].isprintable()
    assert len(errors[0]) <= 300
    return errors[0]


# -- what it does -----------------------------------------------------------------------------


def test_metrics_are_text_that_prometheus_reads():
    families = pytest.importorskip(
        "prometheus_client.parser", reason="no prometheus_client here"
    ).text_string_to_metric_families

    async def work(api: RunningApi) -> None:
        await api.post("/v1/continue", {"seed": 1})
        await api.post("/v1/continue", {"seed": 2})
        await api.post("/v1/continue", {"seed": "no number"})
        async with api.client.get(api.url + "/metrics") as answer:
            assert answer.content_type == "text/plain"
            found = {family.name: family.samples for family in families(await answer.text())}
        ends = {sample.labels["end"]: sample.value for sample in found["robojam_requests"]}
        assert ends == {"answered": 2, "refused": 1, "busy": 0, "gone": 0}
        quantiles = {sample.labels["quantile"] for sample in found["robojam_answer_seconds"]}
        assert quantiles == {"0.5", "0.99"}
        assert found["robojam_continuations_waiting"][0].value == 3

    serve(work)


# -- what is asked, and answered -----------------------------------------------------------


def test_continuations_are_asked_and_answered_with_all_that_they_were_made_with():
    async def work(api: RunningApi) -> None:
        touches = [DOWN, {**DOWN, "x": 1.2, "dt": 9, "phase": "move"}, {**DOWN, "phase": "up"}]
        body = {
            "touches": touches, "seconds": 2, "count": 2, "seed": 2**63 - 1, "silence": 0.5,
            "spread": 0, "follow": -0.5,
        }  # fmt: skip
        status, answer, _ = await api.post("/v1/continue", body)
        assert status == 200
        assert answer == {
            "continuations": [
                {"touches": [
                    {"x": 0.25, "y": 0.5, "dt": 0.1 + n, "phase": "move"},
                    {"x": 0.3, "y": 0.5, "dt": 0.017, "phase": "move"},
                ]} for n in range(2)
            ],
            "seed": 2**63 - 1, "temperature": 1.1, "spread": 0.0, "follow": -0.5,
            "memory": 0.0, "model": {"name": "fake", "sha256": "ab" * 32},
            "version": __version__,
        }  # fmt: skip

    asked = serve(work).asked
    assert [each.number for each in asked] == [0, 1]
    assert asked[0].call == [(0.5, 0.25, 0.0, False), (1.0, 0.25, 5.0, True)]
    assert (asked[0].seconds, asked[0].silence, asked[0].seed) == (2.0, 0.5, 2**63 - 1)


def test_empty_request_asks_for_five_seconds_from_nothing_with_a_seed_of_its_own():
    async def work(api: RunningApi) -> None:
        seeds = []
        for _ in range(2):
            _, answer, _ = await api.post("/v1/continue", {})
            seeds.append(answer["seed"])
        assert seeds[0] != seeds[1]
        assert max(seeds) < 2**53  # JavaScript's numbers hold no more

    asked = serve(work).asked
    assert [(each.call, each.seconds) for each in asked] == [([], 5.0)] * 2


def test_named_model_plays_its_own_way_unless_the_server_was_started_otherwise():
    async def work(api: RunningApi) -> None:
        _, answer, _ = await api.post("/v1/continue", {"model": "plain", "temperature": 0.3})
        assert answer["model"]["name"] == "plain"
        assert (answer["temperature"], answer["spread"], answer["follow"]) == (0.3, 0.7, 0.0)
        _, answer, _ = await api.post("/v1/continue", {})
        assert (answer["temperature"], answer["spread"], answer["follow"]) == (1.1, 0.7, 0.4)

    serve(work, sampling={"spread": 0.7, "follow": 0.4})  # which a plain model cannot


def test_answer_to_microjam_is_five_seconds_in_its_format():
    async def work(api: RunningApi) -> None:
        status, answer, _ = await api.post("/api/predict", {"perf": CSV})
        assert status == 200
        assert answer == {
            "response": "time,x,y,z,moving\n0.1, 0.25, 0.5, 38.0, 0\n0.117, 0.3, 0.5, 38.0, 1\n"
        }

    (asked,) = serve(work).asked
    assert (asked.call, asked.seconds) == (CSV, 5.0)


@pytest.mark.parametrize("perf", [CSV, json.dumps(CSV)])
def test_microjam_form_is_read_as_robojams_service_reads_it(perf: str):
    async def work(api: RunningApi) -> None:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        form = urlencode({"perf": perf})
        status, _, _ = await api.post("/api/predict", data=form, headers=headers)
        assert status == 200

    (asked,) = serve(work).asked
    assert asked.call == CSV


# -- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"touches": [DOWN, {**DOWN, "x": "left"}]}, "touches[1].x: expected a number, got"),
        ({"touches": [{**DOWN, "y": None}]}, "touches[0].y: expected a number, got null"),
        ({"touches": [{**DOWN, "x": 640}]}, "touches[0].x: expected a number <= 2"),
        ({"touches": [{**DOWN, "dt": -0.1}]}, "touches[0].dt: expected a number >= 0"),
        ({"touches": [{**DOWN, "phase": "slide"}]}, "touches[0].phase: expected down, move"),
        ({"touches": [{"x": 0.5, "y": 0.5, "dt": 0}]}, "touches[0]: object missing required"),
        ({"touches": [{**DOWN, "finger": 1}]}, "touches[0]: object contains unknown field"),
        ({"touches": [0.5, 0.5, 0]}, "touches[0]: expected an object"),
        ({"touches": [DOWN] * (limits.MAX_CALL + 1)}, "touches: expected a list of length <="),
        ({"second": 3}, "unknown field second"),
        ({"seconds": 0}, "seconds: expected a number > 0"),
        ({"seconds": 1e9}, "seconds: expected a number <= 60"),
        ({"seconds": "5"}, "seconds: expected a number, got text"),
        ({"count": 1_000_000}, "count: expected a whole number <= 32"),
        ({"count": 0}, "count: expected a whole number >= 1"),
        ({"count": 32, "seconds": 60}, "count: 32 times 60 seconds"),
        ({"seed": -1}, "seed: expected a whole number >= 0"),
        ({"seed": 2**64}, "seed: "),
        ({"seed": 0.5}, "seed: expected a whole number"),
        ({"temperature": 11}, "temperature: expected a number <= 10"),
        ({"memory": 2}, "memory: expected a number <= 1"),
        ({"silence": 6}, "silence: expected a number <= 5"),
        ({"model": "other"}, "model: there is none of this name; there are fake, plain"),
        ({"model": "plain", "follow": 0.5}, "follow: the model plain has no matcher"),
        ([1], "expected an object, got a list"),
        (None, "expected an object, got null"),
    ],
)
def test_wrong_request_is_refused_with_field_and_place(body: Any, wanted: str):
    refused("/v1/continue", wanted, body)


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (
            b'{"touches": [{"x": 0.1, "y": NaN, "dt": 0, "phase": "down"}]}',
            "touches[0].y: JSON",
        ),
        (b'{"seconds": -Infinity}', "seconds: JSON has neither NaN nor Infinity"),
        (b'{"seconds": 1e999}', "seconds: number out of range"),
        (b'{"touches": [{"x": 0.1, ', "no JSON"),
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b'{"touches": ' + b"[" * 200_000, "touches[0]: expected an object"),
        (b'{"a": ' + b"[" * 200_000, "unknown field a"),
        (b'{"model": "' + b"9" * 100_000 + b'"}', "model: expected text of length <= 200"),
        (b'{"seconds": ' + b"9" * 100_000 + b"}", "seconds"),
        (b"time,x,y,z,moving\n0,0,0,0,0\n", "no JSON"),
        (b'{"' + b"k" * 100_000 + b'": 1}', "unknown field kkk"),
    ],
)
def test_body_that_is_no_json_is_refused(data: bytes, wanted: str):
    refused("/v1/continue", wanted, data=data, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("kind", ["text/csv", "text/plain", "multipart/form-data", "nonsense"])
def test_other_types_of_bodies_are_refused(kind: str):
    for path, wanted in (("/v1/continue", "json"), ("/api/predict", "form-urlencoded")):
        headers = {"Content-Type": kind}
        refused(path, f"expected application/{'json' if wanted == 'json' else 'json or'}",
                data=b"{}", headers=headers, status=415)  # fmt: skip


@pytest.mark.parametrize(
    ("perf", "wanted"),
    [
        ("", "perf: it is empty"),
        ("hello", "perf: no line names its columns: the first should be time,x,y,z,moving"),
        ("time,x,y,z,moving\n", "perf: has no line of 5 numbers"),
        (CSV + "0.2, here, 0.5, 20, 1\n", "perf: lines that are not 5 numbers: line 4"),
        (CSV + "0.2, 0.5\n", "perf: lines that are not 5 numbers: line 4"),
        (CSV + "0.2, nan, 0.5, 20, 1\n", "perf: line 4: every number must be finite"),
        (CSV + "inf, 0.5, 0.5, 20, 1\n", "perf: line 4: every number must be finite"),
        (CSV + "0.2, 0.5, 0.5, 20, 0.5\n", "perf: moving must be 0 or 1, and is 0.5 (line 4)"),
        (CSV.replace("0.7", "512.7"), "perf: x goes from 512.711 to 512.72, outside 0..1"),
    ],
)
def test_wrong_performance_of_microjam_is_refused_with_its_line(perf: str, wanted: str):
    async def work(api: RunningApi) -> None:
        status, answer, _ = await api.post("/api/predict", {"perf": perf})
        assert status == 400
        assert wanted in answer["error"]
        assert "--" not in answer["error"]  # no options of a command line

    serve(work)


def test_ten_minutes_of_microjam_are_refused():
    lines = "".join(f"{i / 60:.6f}, 0.5, 0.5, 20.0, 1\n" for i in range(36_000))

    async def work(api: RunningApi) -> None:
        body = {"perf": "time,x,y,z,moving\n" + lines[:200_000].rpartition("\n")[0]}
        status, answer, _ = await api.post("/api/predict", body)
        assert status == 400
        assert "4,096 are the most" in answer["error"]
        status, answer, _ = await api.post("/api/predict", {"perf": lines})
        assert status == 413
        assert "bytes" in answer["error"]

    serve(work)


@pytest.mark.parametrize("body", [{}, {"perf": 5}, {"perf": CSV, "seed": 1}, {"prf": CSV}])
def test_request_of_microjam_without_its_field_is_refused(body: Any):
    refused("/api/predict", "perf" if len(body) < 2 and "prf" not in body else "field", body)


def test_body_without_a_length_is_cut_at_the_limit():
    async def endless():
        while True:
            yield b" " * 65_536

    async def work(api: RunningApi) -> None:
        headers = {"Content-Type": "application/json"}
        async with api.client.post(
            api.url + "/v1/continue", data=endless(), headers=headers
        ) as answer:
            assert answer.status == 413

    assert not serve(work).asked


def test_body_that_does_not_come_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(limits, "BODY_PATIENCE", 0.2)

    async def work(api: RunningApi) -> None:
        port = int(api.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = "POST /v1/continue HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n"
        writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n{")
        assert b" 408 " in await reader.readline()
        writer.close()

    assert not serve(work).asked


def test_body_that_is_cut_off_asks_for_nothing():
    async def work(api: RunningApi) -> None:
        port = int(api.url.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v1/continue HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        status, _, _ = await api.get("/v1/health")
        assert status == 200

    assert not serve(work).asked


def test_other_methods_and_paths_are_refused():
    async def work(api: RunningApi) -> None:
        status, answer, headers = await api.get("/v1/continue")
        assert (status, headers["Allow"]) == (405, "POST")
        status, answer, _ = await api.post("/v1/openapi.json", {})
        assert status == 405
        status, answer, _ = await api.get("/v2/continue")
        assert status == 404
        assert "/v1/openapi.json" in answer["error"]

    serve(work)


# -- when it is busy -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "after"),
    [
        (BusyError("256 continuations wait", retry_after=2.5), 503, "3"),
        (BusyError("64 of this host wait", retry_after=1.0, of_host=True), 429, "1"),
        (LostError("the processes that play have failed"), 503, "5"),
    ],
)
def test_busy_server_says_when_to_try_again(error: Exception, status: int, after: str):
    async def work(api: RunningApi) -> None:
        found, answer, headers = await api.post("/v1/continue", {})
        assert (found, headers["Retry-After"]) == (status, after)
        assert str(error) in answer["error"]

    serve(work, FakeAnswerer(error=error))


def test_answer_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(limits, "DEADLINE", 0.1)

    async def run() -> None:
        answerer = FakeAnswerer(hold=asyncio.Event())
        async with running_api(answerer) as api:
            status, answer, headers = await api.post("/v1/continue", {})
            assert (status, headers["Retry-After"]) == (503, "10")
            assert "within 0.1 s" in answer["error"]
        assert answerer.dropped == 1

    asyncio.run(run())


def test_work_of_a_client_who_has_gone_is_dropped():
    async def run() -> None:
        answerer = FakeAnswerer(hold=asyncio.Event())
        async with asyncio.timeout(60), running_api(answerer) as api:
            asking = asyncio.create_task(api.post("/v1/continue", {}))
            while not answerer.asked:
                await asyncio.sleep(0.01)
            asking.cancel()
            while not answerer.dropped:
                await asyncio.sleep(0.01)
            _, answer, _ = await api.get("/v1/health")
            assert answer["api"]["requests"]["gone"] == 1

    asyncio.run(run())


def test_closing_server_answers_what_was_asked_and_takes_no_more():
    async def run() -> None:
        answerer = FakeAnswerer(hold=asyncio.Event())
        async with asyncio.timeout(60), running_api(answerer) as api:
            asking = asyncio.create_task(api.post("/v1/continue", {}))
            while not answerer.asked:
                await asyncio.sleep(0.01)
            closing = asyncio.create_task(api.server.close(60.0))
            await asyncio.sleep(0)
            with pytest.raises(OSError):  # noqa: PT011
                await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
            assert answerer.hold is not None
            answerer.hold.set()
            status, _, headers = await asking
            assert (status, headers["Connection"]) == (200, "close")
            await closing

    asyncio.run(run())


# -- health, tokens and origins ------------------------------------------------------------


def test_health_counts_requests_by_their_end():
    async def work(api: RunningApi) -> None:
        for body in ({}, {}, {"count": 0}):
            await api.post("/v1/continue", body)
        status, answer, _ = await api.get("/v1/health")
        assert (status, answer["status"], answer["version"]) == (200, "ok", __version__)
        about = answer["api"]
        assert about["requests"] == {"answered": 2, "refused": 1, "busy": 0, "gone": 0}
        assert 0 <= about["latency_ms"]["p50"] <= about["latency_ms"]["p99"]
        assert about["waiting"] == 3

    serve(work)


def test_token_is_needed_for_all_but_health():
    async def work(api: RunningApi) -> None:
        assert (await api.get("/v1/health"))[0] == 200
        for headers, path in [
            ({}, "/v1/continue"),
            ({}, "/v1/continue?token=wrong"),
            ({"Authorization": "Bearer wrong"}, "/v1/continue"),
            ({"Authorization": "Basic secret-1"}, "/v1/continue"),
            ({}, "/api/predict"),
        ]:
            status, answer, found = await api.post(path, {}, headers=headers)
            assert (status, found["WWW-Authenticate"]) == (401, "Bearer")
            assert "token" in answer["error"]
        assert (await api.get("/v1/openapi.json"))[0] == 401
        assert (await api.get("/v1/openapi.json?token=secret-1"))[0] == 200
        assert (await api.post("/v1/continue?token=secret-1", {}))[0] == 200
        bearer = {"Authorization": "bearer secret-1"}
        assert (await api.post("/v1/continue", {}, headers=bearer))[0] == 200

    assert len(serve(work, token="secret-1").asked) == 2


def test_pages_of_other_origins_are_refused_unless_allowed():
    async def work(api: RunningApi) -> None:
        own = {"Origin": api.url}
        assert (await api.post("/v1/continue", {}, headers=own))[0] == 200
        other = {"Origin": "https://other.example"}
        status, _, headers = await api.post("/v1/continue", {}, headers=other)
        assert status == 403
        assert "Access-Control-Allow-Origin" not in headers
        allowed = {"Origin": "https://art.example"}
        _, _, headers = await api.post("/v1/continue", {}, headers=allowed)
        assert headers["Access-Control-Allow-Origin"] == "https://art.example"
        _, _, headers = await api.post("/v1/continue", {"count": 0}, headers=allowed)
        assert headers["Access-Control-Allow-Origin"] == "https://art.example"  # to read why

    assert len(serve(work, origins=frozenset({"https://art.example"})).asked) == 2


def test_preflight_allows_what_a_page_needs_without_a_token():
    async def work(api: RunningApi) -> None:
        async with api.client.options(
            api.url + "/v1/continue", headers={"Origin": "https://art.example"}
        ) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert answer.headers["Access-Control-Allow-Methods"] == "POST"
            assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]

    assert not serve(work, token="secret-1", origins=frozenset("*")).asked


def test_hosts_are_named_by_their_networks_and_this_machine_is_not():
    async def work(api: RunningApi) -> None:
        await api.post("/v1/continue", {})

    assert serve(work).owners == [""]
