"""Rescale a network without changing a prediction, and measure what that does to flatness."""
