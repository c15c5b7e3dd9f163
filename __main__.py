"""`pulumi up`: read the stack's settings, declare the whole system, export its description."""

import pulumi

from infra.outputs import EXPORT
from infra.program import declare
from infra.settings import load_for

settings = load_for(pulumi.get_stack(), pulumi.get_project())
pulumi.export(EXPORT, declare(settings, pulumi.get_stack()))
