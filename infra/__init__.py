"""Everything that runs on the operator's machine during `pulumi up`."""
