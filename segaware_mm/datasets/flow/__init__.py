"""Pairs of images with optical flow: files, a data set, and procedural pairs."""
