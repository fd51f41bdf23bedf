"""Mini-batches that show a finding: saved and replayed."""
