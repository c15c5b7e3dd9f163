"""Tests, benchmarks and the long kill test; none of it is part of an image."""
