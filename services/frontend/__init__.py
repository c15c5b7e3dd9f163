"""One participant's web UI: the stock ComfyUI page and ComfyUI's server API, on top of the central queue.

One small process a participant. It holds that participant's credential and folder and nothing of anybody else; jobs,
files and catalogue come over HTTP from the queue manager. No torch, no ComfyUI process.
"""
