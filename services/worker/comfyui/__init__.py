"""Everything that speaks ComfyUI's own protocol: its HTTP interface, its websocket, its process."""
