"""The routes, one file for each thing; they translate between HTTP and the parts that decide and store.

`ROUTERS` is the list that the application mounts, in the order of its documentation.
"""

from services.queue_manager.routes import (
    catalogue,
    credentials,
    events,
    extensions,
    health,
    inputs,
    jobs,
    lease_files,
    leases,
    outputs,
    reports,
    room,
    workers,
    workflows,
)

ROUTERS = (
    jobs.router,
    inputs.router,
    outputs.router,
    events.router,
    catalogue.router,
    extensions.router,
    workflows.router,
    room.router,
    credentials.router,
    workers.router,
    leases.router,
    reports.router,
    lease_files.router,
    health.router,
)
