"""Helpers of the tests: real processes on free ports, and waiting on conditions instead of sleeping."""
