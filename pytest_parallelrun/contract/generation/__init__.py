"""Generated mini-batches and jobs: what is drawn by Hypothesis, and how it is run."""
