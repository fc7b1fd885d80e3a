"""Datasets and transforms that no upstream class covers."""
