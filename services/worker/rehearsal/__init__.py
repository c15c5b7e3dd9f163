"""The rehearsal engine: a stand-in for ComfyUI that needs neither GPU nor torch and says so everywhere."""
