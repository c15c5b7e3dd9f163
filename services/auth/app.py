"""The sign-in service's routes: nginx's question (`/verify`), its refusal pages, the landing page and the form."""

import math
import time
from typing import Annotated, Any

import httpx
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Form, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, select_autoescape

from services.auth.accounts import Accounts
from services.auth.lockout import Lockout
from services.auth.sessions import COOKIE, Sessions
from services.auth.settings import AuthSettings
from services.auth.verification import Outcome, Verdict, Verifier, workspace_of
from services.domain.errors import WorkshopError
from services.domain.names import is_name

PASSWORD_CHECKS_AT_ONCE = 2
"""bcrypt takes a core for some 50 ms: a flood of wrong passwords must not take all of the machine."""

PAGE_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"}


def create_app(settings: AuthSettings) -> FastAPI:
    """The application, ready to be served."""
    app = FastAPI(title="ComfyuME sign-in", docs_url=None, redoc_url=None, openapi_url=None)
    sessions = Sessions(settings.session_keys_file, settings.session_hours * 3600)
    lockout = Lockout(settings.failures_allowed, settings.lockout_seconds)
    verifier = Verifier(Accounts(settings.accounts_dir), sessions, lockout, time.monotonic)
    checks = CapacityLimiter(PASSWORD_CHECKS_AT_ONCE)
    pages = Environment(loader=PackageLoader("services.auth"), autoescape=select_autoescape(default=True))

    def page(template: str, status: int, headers: dict[str, str] | None = None, **values: Any) -> HTMLResponse:
        html = pages.get_template(template).render(title=settings.workshop_title, **values)
        return HTMLResponse(html, status, headers=PAGE_HEADERS | (headers or {}))

    def set_session(response: Response, workspace: str, value: str) -> None:
        response.set_cookie(
            COOKIE, value, max_age=sessions.max_age_seconds, path=f"/{workspace}/", secure=True, httponly=True,
            samesite="lax",
        )  # fmt: skip

    @app.exception_handler(WorkshopError)
    async def refuse(request: Request, error: WorkshopError) -> JSONResponse:
        return JSONResponse({"error": error.code, "detail": error.message}, error.status)

    @app.exception_handler(RequestValidationError)
    async def refuse_form(request: Request, error: RequestValidationError) -> JSONResponse:
        fields = ", ".join(sorted({str(item["loc"][-1]) for item in error.errors()}))
        return JSONResponse({"error": "invalid_input", "detail": f"{fields}: missing or not usable; try again."}, 422)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/health")
    async def health(accept: Annotated[str, Header()] = "") -> Response:
        parts = {"sign_in": "ok", "queue": "ok" if await _is_ready(settings.queue_url) else "not answering"}
        if "text/html" not in accept:
            return JSONResponse(parts)
        return page("health.html", 200, parts=parts)

    @app.get("/verify")
    async def verify(
        request: Request,
        x_workspace: Annotated[str, Header()],
        x_real_ip: Annotated[str, Header()],
        authorization: Annotated[str, Header()] = "",
    ) -> Response:
        cookie = request.cookies.get(COOKIE, "")
        verdict = verifier.from_session(x_workspace, cookie)
        if verdict is None:  # a password then, which takes a while: nobody who is signed in waits for it
            verdict = await to_thread.run_sync(
                verifier.from_password, x_workspace, authorization, x_real_ip, limiter=checks
            )
        response = _answer(verdict)
        if verdict.new_session:
            set_session(response, x_workspace, verdict.new_session)
        return response

    @app.get("/challenge")
    async def challenge(x_workspace: Annotated[str, Header()]) -> HTMLResponse:
        realm = x_workspace if is_name(x_workspace) else "workshop"
        headers = {"WWW-Authenticate": f'Basic realm="{realm}", charset="UTF-8"'}
        return page("sign_in.html", 401, headers, name=realm)

    @app.get("/denied")
    async def denied(
        x_auth_reason: Annotated[str, Header()] = "", retry_after: Annotated[str, Header()] = ""
    ) -> HTMLResponse:
        if x_auth_reason == Outcome.LOCKED and retry_after.isdigit():
            return page("locked.html", 429, {"Retry-After": retry_after}, seconds=retry_after)
        return page("foreign.html", 403)

    @app.get("/")
    async def landing() -> HTMLResponse:
        return page("sign_in.html", 200)

    @app.post("/sign-in")
    async def sign_in(
        name: Annotated[str, Form(max_length=64)],
        password: Annotated[str, Form(max_length=256)],
        x_real_ip: Annotated[str, Header()],
    ) -> Response:
        verdict = await to_thread.run_sync(verifier.sign_in, name.strip(), password, x_real_ip, limiter=checks)
        if verdict.outcome is Outcome.LOCKED:
            seconds = str(math.ceil(verdict.wait_seconds))
            return page("locked.html", 429, {"Retry-After": seconds}, seconds=seconds)
        if verdict.account is None or verdict.new_session is None:
            return page("sign_in.html", 401, name=name.strip(), wrong=True)
        workspace = workspace_of(verdict.account)
        response = RedirectResponse(f"/{workspace}/", 303)
        set_session(response, workspace, verdict.new_session)
        return response

    @app.post("/sign-out")
    async def sign_out(workspace: Annotated[str, Form(max_length=64)]) -> Response:
        response = RedirectResponse("/", 303)
        if is_name(workspace):
            response.delete_cookie(COOKIE, path=f"/{workspace}/", secure=True, httponly=True, samesite="lax")
        return response

    return app


async def _is_ready(queue_url: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=3) as client:
            return (await client.get(f"{queue_url}/readyz")).status_code == 200
    except httpx.HTTPError:
        return False


def _answer(verdict: Verdict) -> Response:
    """A verdict in the three statuses that nginx's auth_request understands."""
    headers = {"X-Auth-Reason": verdict.outcome.value}
    if verdict.outcome is Outcome.WELCOME and verdict.account is not None:
        headers |= {"X-Auth-Name": verdict.account.name, "X-Auth-Role": verdict.account.role.value}
        return Response(status_code=204, headers=headers)
    if verdict.outcome is Outcome.UNKNOWN:
        return Response(status_code=401, headers=headers)
    if verdict.outcome is Outcome.LOCKED:
        headers["Retry-After"] = str(math.ceil(verdict.wait_seconds))
    return Response(status_code=403, headers=headers)
