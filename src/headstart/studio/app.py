"""The application: what the studio's page asks for."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from headstart._version import __version__
from headstart.bundle import archive
from headstart.core.errors import DataError, HeadstartError, OptionError
from headstart.evaluate.metrics import METRICS
from headstart.studio.guard import SEALED, App, Guard
from headstart.studio.jobs import Jobs, read_json
from headstart.studio.limits import Limits
from headstart.studio.models import Models
from headstart.studio.places import Places
from headstart.studio.streaming import place_of, stream
from headstart.studio.uploads import Uploads
from headstart.studio.worker import told

PAGE = Path(__file__).parent / "page"
SHARED = Path(__file__).parent.parent / "serve" / "page"
"""Design and words that the studio shares with the page of the service."""
Short = Annotated[str, Field(max_length=300)]


@dataclass(frozen=True)
class Settings:
    """What a studio is started with.

    Parameters
    ----------
    home : Path
        Where uploads, pieces of work and models are kept.
    root : Path
        The folder that data may be chosen from.
    token : str
    hosts : tuple of str
        As for ``Guard``.
    limits : Limits
    closing : callable
        Says whether the studio is about to end.
    once : str
        As for ``Guard``.
    """

    home: Path
    root: Path
    token: str
    hosts: tuple[str, ...]
    limits: Limits = field(default_factory=Limits)
    closing: Callable[[], bool] = lambda: False
    once: str = ""


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Reading(_Asked):
    """How data are to be read."""

    data: Annotated[str, Field(max_length=4096)]
    name: Short | None = None
    label: Short | None = None
    text: Short | None = None
    path: Short | None = None
    group: Short | None = None
    modality: Literal["image", "text", "audio", "table"] | None = None


class Fitting(Reading):
    """What a fit is asked for."""

    shots: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    metric: Annotated[str, Field(max_length=40)] | None = None
    budget: Annotated[str, Field(max_length=20)] | None = None
    max_risk: Annotated[float, Field(gt=0, lt=1)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0
    source: Annotated[list[Short], Field(max_length=20)] | None = None
    strategy: Annotated[list[Short], Field(max_length=20)] | None = None
    curve: bool | None = None


class Sending(_Asked):
    """An upload that is about to come."""

    files: int
    bytes: Annotated[int, Field(ge=0)]


def create_app(settings: Settings) -> App:
    """Return the application of a studio, guarded.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    ASGI application
    """
    home = settings.home
    uploads = Uploads(home / "uploads", settings.limits)
    places = Places((settings.root.resolve(), uploads.folder.resolve()))
    jobs = Jobs(home / "jobs")
    models = Models(jobs)

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        yield
        await models.close()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=living)
    app.add_exception_handler(HeadstartError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.include_router(_pages(settings))
    app.include_router(_choosing(settings, places, uploads))
    app.include_router(_working(settings, places, jobs))
    app.include_router(_results(jobs))
    app.mount("/static", StaticFiles(directory=PAGE))
    app.mount("/shared", StaticFiles(directory=SHARED))
    app.mount("/try", models)
    return Guard(_limited(app, settings.limits), settings.token, settings.hosts, settings.once)


def _pages(settings: Settings) -> APIRouter:
    router = APIRouter()

    @router.get("/")
    async def page() -> FileResponse:
        return FileResponse(PAGE / "studio.html", media_type="text/html")

    @router.get("/api/about")
    async def about() -> dict[str, Any]:
        return {
            "version": __version__,
            "home": str(settings.home),
            "root": str(settings.root),
            "upload_bytes": settings.limits.upload_bytes,
            "upload_files": settings.limits.files,
            "metrics": [
                {"name": one.name, "kinds": list(one.kinds), "summary": one.summary}
                for one in METRICS.values()
            ],
        }

    return router


def _choosing(settings: Settings, places: Places, uploads: Uploads) -> APIRouter:
    router = APIRouter(prefix="/api")
    limits = settings.limits

    @router.get("/files")
    def files(path: Annotated[str | None, Query(max_length=4096)] = None) -> dict[str, Any]:
        return places.listing(path, limits.listed)

    @router.post("/uploads", status_code=201)
    def begin(asked: Sending) -> dict[str, str]:
        return {"upload": uploads.begin(asked.files, asked.bytes)}

    @router.put("/uploads/{upload}", status_code=201)
    async def receive(upload: str, name: str, request: Request) -> dict[str, str]:
        await uploads.receive(upload, name, _timely(request, limits.seconds_idle))
        return {"name": name}

    @router.post("/uploads/{upload}/end")
    def end(upload: str) -> dict[str, str]:
        return {"path": str(uploads.end(upload))}

    @router.delete("/uploads/{upload}")
    def drop(upload: str) -> dict[str, bool]:
        return {"dropped": uploads.drop(upload)}

    return router


def _working(settings: Settings, places: Places, jobs: Jobs) -> APIRouter:
    router = APIRouter(prefix="/api")
    reading = 0

    @router.get("/jobs")
    def listed() -> dict[str, Any]:
        return {"jobs": jobs.listed("fit")}

    @router.post("/looks", status_code=201)
    def look(asked: Reading) -> dict[str, str]:
        return {"job": jobs.start("look", _allowed(asked, places))}

    @router.post("/jobs", status_code=201)
    def fit(asked: Fitting) -> dict[str, str]:
        return {"job": jobs.start("fit", _allowed(asked, places))}

    @router.get("/jobs/{job}")
    def one(job: str) -> dict[str, Any]:
        return jobs.facts(job)

    @router.post("/jobs/{job}/stop")
    def stop(job: str, at_once: bool = False) -> dict[str, Any]:
        jobs.stop(job, at_once=at_once)
        return jobs.facts(job)

    @router.post("/jobs/{job}/resume")
    def resume(job: str) -> dict[str, Any]:
        jobs.resume(job)
        return jobs.facts(job)

    @router.delete("/jobs/{job}")
    def delete(job: str) -> dict[str, bool]:
        jobs.delete(job)
        return {"deleted": True}

    @router.get("/jobs/{job}/events")
    async def events(
        job: str, last_event_id: Annotated[str | None, Header()] = None
    ) -> StreamingResponse:
        jobs.place(job)
        if reading >= settings.limits.streams:
            raise HTTPException(503, "too many pages read along; close some")

        async def told() -> AsyncIterator[bytes]:
            nonlocal reading
            reading += 1
            try:
                async for part in stream(jobs, job, place_of(last_event_id), settings.closing):
                    yield part
            finally:
                reading -= 1

        return StreamingResponse(told(), media_type="text/event-stream")

    return router


def _results(jobs: Jobs) -> APIRouter:
    router = APIRouter(prefix="/api/jobs/{job}")

    @router.get("/samples/{name}")
    def sample(job: str, name: str) -> FileResponse:
        return _file(jobs.place(job) / "samples", name)

    @router.get("/result")
    def result(job: str) -> dict[str, Any]:
        found = read_json(jobs.place(job) / "result.json")
        if not found:
            raise HTTPException(404, "there is no result yet")
        return found

    @router.get("/report")
    def report(job: str) -> FileResponse:
        found = _file(jobs.place(job), "report.html")
        found.headers["content-security-policy"] = SEALED
        return found

    @router.get("/log")
    def log(job: str) -> FileResponse:
        return _file(jobs.place(job), "log.txt", media_type="text/plain; charset=utf-8")

    @router.get("/model.zip")
    def model(job: str) -> FileResponse:
        place = jobs.place(job)
        if not (place / "model").is_dir():
            raise HTTPException(404, "there is no model yet")
        name = f"{jobs.facts(job).get('name') or 'model'}"
        return FileResponse(packed(place), media_type="application/zip", filename=f"{name}.zip")

    return router


def packed(place: Path) -> Path:
    """Return the model of a piece of work as a zip archive, made the first time."""
    target, model = place / "model.zip", place / "model"
    if target.exists() and target.stat().st_mtime >= model.stat().st_mtime:
        return target
    files = sorted(path for path in model.rglob("*") if path.is_file())
    with tempfile.NamedTemporaryFile(dir=place, prefix=".model-", delete=False) as beside:
        archive.write(
            beside, {path.relative_to(model).as_posix(): path.read_bytes() for path in files}
        )
    return Path(beside.name).replace(target)


def _file(folder: Path, name: str, media_type: str | None = None) -> FileResponse:
    """Return a file that stands in a folder itself."""
    if "/" in name or "\\" in name or name.startswith(".") or not (folder / name).is_file():
        raise HTTPException(404, "there is no such file")
    return FileResponse(folder / name, media_type=media_type)


def _allowed(asked: Reading, places: Places) -> dict[str, Any]:
    """Return what was asked as a piece of work reads it; data must lie where they may."""
    path = places.allowed(asked.data)
    given = {key: value for key, value in asked.model_dump().items() if value not in (None, "")}
    return {**given, "data": str(path), "name": given.get("name") or path.stem or path.name}


async def _timely(request: Request, seconds: float) -> AsyncIterator[bytes]:
    """Yield the body of a request; give up where nothing comes for too long."""
    blocks = request.stream().__aiter__()
    while True:
        try:
            yield await asyncio.wait_for(anext(blocks), seconds)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise HTTPException(408, "the file stopped coming") from error


def _limited(app: App, limits: Limits) -> App:
    """Refuse bodies that are too long where no file is sent, and count what comes."""

    async def limiting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await app(scope, receive, send)  # what is tried on a model has limits of its own
            return
        if scope["method"] == "PUT":
            await app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if message["type"] == "http.disconnect":
                return
            if len(body) > limits.body_bytes:
                answer = _problem(413, "the request is too long")
                await answer(scope, receive, send)
                return
            if not message.get("more_body"):
                break
        given = False

        async def again() -> Any:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await app(scope, again, send)

    return limiting


# -------------------------------------------------------------------------------- errors


def _problem(status: int, message: str, **more: Any) -> JSONResponse:
    facts = {"code": str(status), "message": message, "where": None, "hint": None, **more}
    return JSONResponse({"error": facts}, status_code=status)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HeadstartError)
    status = 404 if error.what.startswith("there is no such") else 422
    facts = told(error)
    if isinstance(error, OptionError):
        status = 409
    return _problem(
        status,
        ". ".join(error.lines()) if not isinstance(error, DataError) else _sentence(error),
        code=facts["kind"],
        where=facts["where"],
        hint=facts["hint"],
    )


def _sentence(error: HeadstartError) -> str:
    allowed = "" if error.allowed is None else f" (allowed: {error.allowed})"
    return f"{error.what}{allowed}"


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return _problem(422, f"{where}: {first['msg']}", code="invalid", where=where)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(error.status_code, str(error.detail))
