"""The stack's components: one a file, each with typed arguments and outputs."""
