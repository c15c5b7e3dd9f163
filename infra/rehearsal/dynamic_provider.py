"""Serve the program's dynamic resources, as Pulumi's own launcher does, but end with the engine that started us."""

from __future__ import annotations

import runpy

from infra.rehearsal.parents import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    runpy.run_module("pulumi.dynamic", run_name="__main__", alter_sys=True)
