"""The command line `comfyume`: for people at a terminal and for scripts, over the queue manager's HTTP interface.

Decides nothing about jobs; every rule is the queue manager's.
"""
