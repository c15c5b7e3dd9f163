"""The workshop on one machine: Redis, queue manager and workers, started in order, watched, stopped in order.

Knows the parts by their commands, settings and addresses only; what they do is theirs.
"""
