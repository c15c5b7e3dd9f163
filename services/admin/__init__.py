"""The console: what the instructor and the operator see of the room, the workers, the hosts and the containers, live.

Reads two things: the stack's outputs (a file that the deployment writes) and the queue manager (with an operator's
credential). Stands behind the front door, which says who has come.
"""
