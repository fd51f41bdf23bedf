"""Mini-batches and jobs that Hypothesis makes up, and what they show."""
