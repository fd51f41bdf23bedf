"""The emulated runtime of parallel jobs. Knows neither pytest nor Hypothesis."""
