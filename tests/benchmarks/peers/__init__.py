"""Task queues that people use today, each behind the same four verbs, so that one program measures them all.

Runs with the interpreter of the peers' own environment (extra `bench-peers`): imports nothing else of the project.
"""
