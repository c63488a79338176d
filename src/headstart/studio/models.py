"""Trying a model: the service of a fitted model, mounted under the studio while it is wanted."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from fastapi.responses import FileResponse, JSONResponse

from headstart.core.errors import HeadstartError
from headstart.studio.guard import Receive, Scope, Send
from headstart.studio.jobs import Jobs

PAGE = Path(__file__).parent.parent / "serve" / "page"
KEPT = 2
"""How many models are held in memory."""


class Models:
    """Passes ``/try/JOB/...`` on to the service of the model of that piece of work.

    Parameters
    ----------
    jobs : Jobs
    """

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self._open: OrderedDict[str, tuple[Any, AsyncExitStack, float]] = OrderedDict()
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        root = scope.get("root_path", "")
        job, _, rest = scope["path"].removeprefix(root).lstrip("/").partition("/")
        try:
            shown = page_file(self.jobs.place(job), rest)
            if shown is not None and scope["method"] in ("GET", "HEAD"):
                await FileResponse(shown)(scope, receive, send)
                return
            app = await self._app(job)
        except HeadstartError as error:
            facts = {"code": type(error).__name__, "message": str(error), "where": error.where}
            answer = JSONResponse({"error": {**facts, "hint": error.hint}}, status_code=404)
            await answer(scope, receive, send)
            return
        # the service does not know that it stands below another address: its page asks by
        # relative ones
        path = f"/{rest}"
        inner = {**scope, "root_path": "", "path": path, "raw_path": path.encode()}
        await app(inner, receive, send)

    async def close(self) -> None:
        """Let go of all models."""
        async with self._lock:
            while self._open:
                _, (_, living, _) = self._open.popitem()
                await living.aclose()

    async def _app(self, job: str) -> Any:
        """Return the service of a model, opened the first time."""
        async with self._lock:
            path = self.jobs.place(job) / "model"
            made = path.stat().st_mtime if path.is_dir() else 0.0
            known = self._open.get(job)
            if known is not None and known[2] == made:
                self._open.move_to_end(job)
                return known[0]
            if known is not None:
                await self._open.pop(job)[1].aclose()
            app = await asyncio.to_thread(_service, path)
            living = AsyncExitStack()
            await living.enter_async_context(app.router.lifespan_context(app))
            self._open[job] = (app, living, made)
            while len(self._open) > KEPT:
                _, (_, old, _) = self._open.popitem(last=False)
                await old.aclose()
            return app


def page_file(place: Path, rest: str) -> Path | None:
    """Return the file of the page that an address below ``/try/JOB/`` means, or None.

    The page is shown before the model is open, which takes seconds the first time.
    """
    name = "index.html" if rest == "" else rest.removeprefix("static/")
    known = {path.name: path for path in PAGE.iterdir() if path.is_file()}
    if name not in known or not (place / "model").is_dir() or rest == name:
        return None
    return known[name]


def _service(model: Path) -> Any:
    """Return the service of a model, as `headstart serve` gives it."""
    from headstart.studio.service import service_of

    return service_of(model, model.parent / "corrections")
