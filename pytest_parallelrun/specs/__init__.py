"""Job definitions that users have already, read without running or sending anything: each step is an entry to gate."""
