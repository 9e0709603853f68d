"""The thin client: paths, preconditions, paging and errors, against a loopback server."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException

from carbonaware_operator.cluster import kube as kube_module
from carbonaware_operator.cluster.kube import (
    CARBON_AWARE_JOBS,
    CARBON_ZONES,
    CONFIG_MAPS,
    JOBS,
    METADATA_LIST,
    ApiError,
    KubeClient,
    configuration,
)

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "main",
    "contexts": [{"name": "main", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {"token": "secret"}}],
}
SILENT = web.StreamResponse()
"""An answer that begins and then says nothing."""


@dataclass
class Server:
    """Answers as told, hangs up where there is None, and keeps what it was asked."""

    answers: list[web.StreamResponse | None] = field(default_factory=list)
    asked: list[web.Request] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    url: str = ""

    def will_answer(self, body: Any, status: int = 200) -> None:
        """The next answer."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.answers.append(web.Response(text=text, status=status, content_type="application/json"))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        text = await request.text()
        self.asked.append(request)
        self.bodies.append(json.loads(text) if text else None)
        answer = self.answers.pop(0)
        if answer is None:
            assert request.transport
            request.transport.close()
            return web.Response()
        if answer is SILENT:
            await answer.prepare(request)
            await asyncio.Event().wait()
        return answer


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server on the loopback address."""
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
async def kube(server: Server) -> AsyncIterator[KubeClient]:
    """A client of that server."""
    settings = Configuration(host=server.url)
    settings.api_key["BearerToken"] = "Bearer secret"
    api = ApiClient(configuration=settings)
    yield KubeClient(api)
    await api.close()


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            (CONFIG_MAPS.path("ml", "a"), "/api/v1/namespaces/ml/configmaps/a"),
            (JOBS.path(None), "/apis/batch/v1/jobs"),
            (
                CARBON_AWARE_JOBS.path("ml", "a", "status"),
                "/apis/carbonaware.io/v1alpha1/namespaces/ml/carbonawarejobs/a/status",
            ),
            (CARBON_ZONES.path("ml", "de"), "/apis/carbonaware.io/v1alpha1/carbonzones/de"),
        ],
    )
    def test_follow_the_apis_scheme(self, path, expected):
        """The core group has a root of its own; cluster-scoped kinds have no namespace."""
        assert expected == path


class TestRequests:
    async def test_carry_the_token(self, kube, server):
        """As the configuration says."""
        server.will_answer({})

        await kube.get(JOBS, "ml", "a")

        assert "Bearer secret" == server.asked[0].headers["Authorization"]

    async def test_create_strictly(self, kube, server):
        """A misspelt field in a template is refused, not dropped."""
        server.will_answer({})

        await kube.create(JOBS, "ml", {"kind": "Job"}, dry_run=True)

        (asked,) = server.asked
        assert ("POST", {"fieldValidation": "Strict", "dryRun": "All"}, {"kind": "Job"}) == (
            asked.method,
            dict(asked.query),
            server.bodies[0],
        )

    async def test_apply_as_a_named_manager(self, kube, server):
        """What a manager leaves out is deleted: its name must be there."""
        server.will_answer({})
        body = {"metadata": {"name": "a"}, "status": {}}

        await kube.apply(CARBON_AWARE_JOBS, "ml", body, manager="planner", sub="status")

        (asked,) = server.asked
        assert ("PATCH", "application/apply-patch+yaml", "planner") == (
            asked.method,
            asked.content_type,
            asked.query["fieldManager"],
        )
        assert asked.path.endswith("/carbonawarejobs/a/status")

    async def test_merge_as_merge_patch(self, kube, server):
        """Null deletes; lists are replaced."""
        server.will_answer({})

        await kube.merge(JOBS, "ml", "a", {"spec": {"suspend": True}})

        assert "application/merge-patch+json" == server.asked[0].content_type

    async def test_delete_only_the_object_that_is_meant(self, kube, server):
        """The uid is a precondition."""
        server.will_answer({})

        await kube.delete(JOBS, "ml", "a", uid="uid-1")

        assert {"uid": "uid-1"} == server.bodies[0]["preconditions"]


class TestList:
    async def test_follows_the_pages(self, kube, server):
        """All objects, in chunks behind the scenes."""
        server.will_answer({"metadata": {"continue": "more"}, "items": [{"n": 1}]})
        server.will_answer({"metadata": {}, "items": [{"n": 2}]})

        found = [item["n"] async for item in kube.list(JOBS, selector="a")]

        assert [1, 2] == found
        assert [None, "more"] == [asked.query.get("continue") for asked in server.asked]
        assert ["a", "a"] == [asked.query["labelSelector"] for asked in server.asked]

    async def test_may_ask_for_metadata_alone(self, kube, server):
        """The sweep needs no specs."""
        server.will_answer({"metadata": {}, "items": None})

        assert [] == [item async for item in kube.list(JOBS, only_metadata=True)]
        assert METADATA_LIST == server.asked[0].headers["Accept"]


class TestErrors:
    async def test_carry_status_reason_and_message(self, kube, server):
        """What the server says is what the user reads."""
        server.will_answer({"reason": "Invalid", "message": "name: must be shorter"}, status=422)

        with pytest.raises(ApiError, match="must be shorter") as refused:
            await kube.get(JOBS, "ml", "a")

        assert (422, "Invalid", False) == (
            refused.value.status,
            refused.value.reason,
            refused.value.retryable,
        )

    @pytest.mark.parametrize(
        ("body", "status"),
        [("<html>bad gateway</html>", 502), ("[]", 500), ("", 503), ("{}", 429)],
    )
    async def test_of_a_proxy_are_errors_too(self, kube, server, body, status):
        """Whatever stands before the API server may answer with something else."""
        server.will_answer(body, status=status)

        with pytest.raises(ApiError) as refused:
            await kube.get(JOBS, "ml", "a")

        assert (status, True) == (refused.value.status, refused.value.retryable)

    @pytest.mark.parametrize("body", ["<html>log in</html>", "[]", '{"cut": '])
    async def test_an_answer_that_is_no_object_is_an_error(self, kube, server, body):
        """A page with status 200 that is not an answer of the API must not pass for one."""
        server.will_answer(body)

        with pytest.raises(ApiError) as refused:
            await kube.get(JOBS, "ml", "a")

        assert refused.value.retryable

    async def test_no_answer_is_an_error_that_may_pass(self):
        """A closed port is an API server that is away."""
        api = ApiClient(configuration=Configuration(host="http://127.0.0.1:9"))

        with pytest.raises(ApiError, match="does not answer") as refused:
            await KubeClient(api).get(JOBS, "ml", "a")
        await api.close()

        assert (0, True) == (refused.value.status, refused.value.retryable)

    async def test_a_connection_that_breaks_is_an_error_that_may_pass(self, kube, server):
        """An API server that dies while it answers."""
        server.answers.append(None)

        with pytest.raises(ApiError) as refused:
            await kube.get(JOBS, "ml", "a")

        assert refused.value.retryable

    async def test_name_the_fields_that_are_wrong(self, kube, server):
        """As validation does; a policy that denies names none."""
        causes = [{"reason": "FieldValueRequired", "message": "x", "field": "spec.template"}, {}]
        answer = {"reason": "Invalid", "message": "no", "details": {"causes": causes}}
        server.will_answer(answer, status=422)

        with pytest.raises(ApiError) as refused:
            await kube.get(JOBS, "ml", "a")

        assert ("spec.template", "") == refused.value.causes

    @pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("soon", 0), ("-1", 0), (None, 0)])
    async def test_say_how_long_to_wait(self, kube, server, header, seconds):
        """Retry-After in seconds, as the API server gives it."""
        headers = {"Retry-After": header} if header else {}
        server.answers.append(web.Response(status=429, text="{}", headers=headers))

        with pytest.raises(ApiError) as refused:
            await kube.get(JOBS, "ml", "a")

        assert seconds == refused.value.retry_after

    async def test_are_all_that_a_request_raises(self, kube, monkeypatch):
        """Such as the token's file, which is empty while it is replaced."""

        async def odd(*_: object, **__: object) -> None:
            raise ConfigException("Token file exists but empty.")

        monkeypatch.setattr(kube._api, "update_params_for_auth", odd)

        with pytest.raises(ApiError, match="Token file exists but empty") as refused:
            await kube.get(JOBS, "ml", "a")

        assert refused.value.retryable


class TestGuarded:
    async def test_a_client_writes_only_while_it_may(self, kube, server):
        """The lease may be lost between a decision and its write; reading is always allowed."""
        may = [True]
        guarded = kube.guarded(lambda: may[0])
        server.will_answer({})
        server.will_answer({})
        await guarded.create(JOBS, "ml", {})

        may[0] = False
        await guarded.get(JOBS, "ml", "a")
        with pytest.raises(ApiError, match="does not lead"):
            await guarded.create(JOBS, "ml", {})

        assert ["POST", "GET"] == [asked.method for asked in server.asked]


class TestConfiguration:
    async def test_reads_a_kubeconfig(self, tmp_path):
        """The server of the current context."""
        path = tmp_path / "config"
        path.write_text(json.dumps(KUBECONFIG))

        assert "https://127.0.0.1:1" == (await configuration(str(path))).host

    @pytest.mark.parametrize(
        ("bypass", "proxy"), [("", "http://proxy:3128"), ("127.0.0.1,.local", None), ("*", None)]
    )
    async def test_takes_the_proxy_of_the_environment_once(
        self, tmp_path, monkeypatch, bypass, proxy
    ):
        """Not for each request, in the threads that a provider which hangs may hold."""
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
        monkeypatch.setenv("NO_PROXY", bypass)
        path = tmp_path / "config"
        path.write_text(json.dumps(KUBECONFIG))

        found = await configuration(str(path))

        assert (proxy, {"trust_env": False}) == (found.proxy, found.client_session_kwargs)


class TestWatch:
    async def test_ends_on_a_connection_that_is_dead_but_open(self, kube, server, monkeypatch):
        """The server's end of a watch never arrives over a half-open connection."""
        monkeypatch.setattr(kube_module, "WATCH_SILENCE_SECONDS", 0.05)
        server.answers.append(SILENT)

        with pytest.raises(ApiError) as silent:
            async for _ in kube.watch(JOBS, "team", "1"):
                pass

        assert 0 == silent.value.status
