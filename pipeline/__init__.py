"""Capture, decode, detection loop, sinks and the commands that compose them."""
