"""The real engine over stand-in clouds."""
