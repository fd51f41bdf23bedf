"""The parallel runtime, emulated. Knows neither pytest nor Hypothesis."""
