"""The bootstrap steps on rehearsed machines."""
