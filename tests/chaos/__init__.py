"""The kill test: jobs go on to exactly one end while everything that carries them is killed (`make chaos`)."""
