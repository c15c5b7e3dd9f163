"""Everything that runs inside a container of the workshop, one package a service."""
