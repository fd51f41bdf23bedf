"""Generated mini-batches and jobs: what Hypothesis draws, and how it runs."""
