"""The routes, one file for each thing; they translate between HTTP and the parts that decide and store.

`ROUTERS` is the list that the application mounts, in the order of its documentation.
"""

from services.queue_manager.routes import credentials, health, jobs, leases, reports, room, workers

ROUTERS = (
    jobs.router,
    room.router,
    credentials.router,
    workers.router,
    leases.router,
    reports.router,
    health.router,
)
