"""Metrics that no upstream class covers."""
