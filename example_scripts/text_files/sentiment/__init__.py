"""The part of the example that knows nothing of parallel jobs."""
