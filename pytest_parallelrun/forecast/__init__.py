"""Forecast of the full job from the run of its sample. It knows the emulator only."""
