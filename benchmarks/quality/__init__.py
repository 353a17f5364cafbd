"""How well fieldtap finds, on public labelled data: `python -m benchmarks.quality`."""
