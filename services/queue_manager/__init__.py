"""The queue manager: one fair, durable queue over Redis, spoken to over HTTP by participants, workers and staff."""
