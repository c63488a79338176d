"""The service as an ASGI application."""

from __future__ import annotations

import contextlib
import hashlib
import mimetypes
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request as Plain
from starlette.responses import JSONResponse, Response

from headstart._version import __version__
from headstart.serve import asking, v2
from headstart.serve.guard import Guard, route_of
from headstart.serve.logs import Logs
from headstart.serve.metrics import CONTENT_TYPE
from headstart.serve.openapi import described
from headstart.serve.predictor import Predictor
from headstart.serve.problems import CODES, Problem
from headstart.serve.service import Service
from headstart.serve.settings import Settings

PAGE = Path(__file__).parent / "page"
REFERENCE = Path(__file__).parent / "reference"


def create_app(
    predictor: Predictor, settings: Settings | None = None, *, logs: Logs | None = None
) -> FastAPI:
    """Return the service of a model as an ASGI application.

    Parameters
    ----------
    predictor : Predictor
        From ``open_predictor``.
    settings : Settings, optional
    logs : Logs, optional
        JSON lines on stderr by default.

    Raises
    ------
    OptionError
        Corrections cannot be kept where the settings say.
    """
    service = Service(predictor, settings or Settings(), logs=logs)

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        await service.warm_up()
        yield
        service.stop()

    app = FastAPI(
        title="headstart",
        version=__version__,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    own = f"/v2/models/{service.settings.name}"
    add_routes(app, service)
    app.add_exception_handler(HTTPException, _unknown)
    app.add_middleware(
        Guard,
        service=service,
        direct={
            ("POST", "/predict"): asking.predict,
            ("POST", "/explain"): asking.explain,
            ("POST", "/corrections"): asking.correct,
            ("POST", f"{own}/infer"): v2.infer,
            ("POST", f"{own}/versions/{predictor.digest}/infer"): v2.infer,
        },
    )
    return app


def add_routes(app: FastAPI, service: Service) -> None:
    """Add what need not be fast."""

    async def healthz(request: Plain) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(request: Plain) -> Response:
        if service.draining:
            raise Problem(503, "the service is stopping", headers={"Retry-After": "5"})
        return JSONResponse({"status": "ready"})

    async def info(request: Plain) -> Response:
        return JSONResponse(service.info())

    async def metrics(request: Plain) -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    async def corrections(request: Plain) -> Response:
        if service.corrections is None:
            raise Problem(
                501, "this service keeps no corrections", hint="start it with --corrections DIR"
            )
        return JSONResponse({"n": len(service.corrections)})

    async def described_here(request: Plain) -> Response:
        return JSONResponse(described(service))

    async def elsewhere(request: Plain) -> Response:
        raise HTTPException(405)

    for path in ("/predict", "/explain"):  # the guard answers POST itself
        app.add_route(path, elsewhere, methods=["GET"], include_in_schema=False)
    for path, made in (
        ("/openapi.json", described_here),
        ("/healthz", healthz),
        ("/readyz", readyz),
        ("/info", info),
        ("/metrics", metrics),
        ("/corrections", corrections),
    ):
        app.add_route(path, made, methods=["GET"], include_in_schema=False)
    _add_v2(app, service)
    _add_files(app)


def _add_v2(app: FastAPI, service: Service) -> None:
    async def server(request: Plain) -> Response:
        return JSONResponse(v2.server())

    async def live(request: Plain) -> Response:
        return JSONResponse({"live": True})

    async def ready(request: Plain) -> Response:
        if service.draining:
            raise Problem(503, "the service is stopping", headers={"Retry-After": "5"})
        return JSONResponse({"ready": True})

    def named(request: Plain) -> None:
        given = request.path_params
        v2.check_name(service, given["model"], given.get("version"))

    async def model(request: Plain) -> Response:
        named(request)
        return JSONResponse(v2.model(service))

    async def model_ready(request: Plain) -> Response:
        named(request)
        if service.draining:
            raise Problem(503, "the service is stopping", headers={"Retry-After": "5"})
        return JSONResponse({"name": service.settings.name, "ready": True})

    async def nobody(request: Plain) -> Response:
        named(request)
        raise HTTPException(405)

    routes: dict[str, Any] = {"/v2": server, "/v2/health/live": live, "/v2/health/ready": ready}
    for own in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        routes |= {own: model, f"{own}/ready": model_ready}
        app.add_route(f"{own}/infer", nobody, methods=["GET", "POST"], include_in_schema=False)
    for path, made in routes.items():
        app.add_route(path, made, methods=["GET"], include_in_schema=False)


def _add_files(app: FastAPI) -> None:
    """Serve the page: its files are read once, so that no request names a path."""
    held, told = _files(PAGE), _files(REFERENCE)

    async def docs(request: Plain) -> Response:
        found = told.get(request.path_params.get("name", "docs.html"))
        if found is None:
            raise HTTPException(404)
        return found.response(request)

    async def page(request: Plain) -> Response:
        if "index.html" not in held:
            raise HTTPException(404)
        return held["index.html"].response(request)

    async def static(request: Plain) -> Response:
        found = held.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        return found.response(request)

    app.add_route("/docs", docs, methods=["GET"], include_in_schema=False)
    app.add_route("/docs/{name}", docs, methods=["GET"], include_in_schema=False)
    app.add_route("/", page, methods=["GET"], include_in_schema=False)
    app.add_route("/static/{name}", static, methods=["GET"], include_in_schema=False)


def _files(folder: Path) -> dict[str, _File]:
    return {path.name: _File(path) for path in sorted(folder.glob("*.*")) if path.is_file()}


class _File:
    """A file of the page, in memory."""

    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()
        self.type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        self.tag = f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'

    def response(self, request: Plain) -> Response:
        """Return it, or 304 where the caller has it."""
        headers = {"etag": self.tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=self.type, headers=headers)


def allowed(path: str) -> str:
    """Return the methods that a path is asked with."""
    route = route_of(path)
    if route == "/corrections":
        return "GET, POST"
    asking = route in ("/predict", "/explain") or route.endswith("/infer")
    return "POST" if asking else "GET"


async def _unknown(request: Plain, error: Exception) -> Response:
    """Hand what nothing answers to the guard, which refuses all in one shape."""
    assert isinstance(error, HTTPException)
    allow = {"Allow": allowed(request.url.path)} if error.status_code == 405 else {}
    words = {404: "there is nothing under this address", 405: "this cannot be done here"}
    status = error.status_code if error.status_code in CODES else 400
    raise Problem(
        status,
        words.get(status, str(error.detail)),
        hint="/docs lists what there is",
        headers=allow,
    ) from None
