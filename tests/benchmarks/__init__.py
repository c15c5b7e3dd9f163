"""Side-by-side measurements: our path, the best peers and the limits, in turn on the same machine (`make bench`)."""
