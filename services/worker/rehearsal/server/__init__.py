"""ComfyUI's HTTP routes and its WebSocket."""
