"""What is done on a machine over SSH: pure functions that return shell text, and the one place that opens a session."""
