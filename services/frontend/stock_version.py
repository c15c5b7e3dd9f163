"""The one place that names which ComfyUI the web UI stands in for, and the packages that belong to it."""

COMFYUI_VERSION = "0.33.0"
FRONTEND_VERSION = "1.49.6"
"""The `comfyui-frontend-package` that ComfyUI 0.33.0 pins; the lock file holds the same number (a test compares)."""
