"""Stands in for Verda: its HTTP API as the official SDK speaks it, over the rehearsed cloud and its machines."""
