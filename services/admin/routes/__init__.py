"""The console's routes, one module a subject; each route names the roles that may use it."""

from services.admin.routes import console, health, live

ROUTERS = (console.router, live.router, health.router)
