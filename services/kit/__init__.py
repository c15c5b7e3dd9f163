"""Adapters without business words, shared by the services."""
