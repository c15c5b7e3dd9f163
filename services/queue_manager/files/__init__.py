"""Files on the queue manager's disk: inputs by content hash, outputs of jobs, bodies of ended jobs."""
