"""ComfyUI's HTTP routes, one file a theme; each file exposes `routes`, served with and without the prefix `/api`."""
