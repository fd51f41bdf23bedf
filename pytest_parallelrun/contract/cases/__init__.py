"""What shows a finding: saved, and run again."""
