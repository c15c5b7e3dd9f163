"""The workshop's shared vocabulary: plain types and pure rules, no input or output.

Imports the standard library and pydantic only; every other package may import it.
"""
