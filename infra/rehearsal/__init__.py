"""The rehearsed deployment: stand-in clouds on this machine, driven by the real engine."""
