"""Day two: the verbs of a deployed stack, each with a dry run. `python -m infra.operate --help`."""
