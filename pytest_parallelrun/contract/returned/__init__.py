"""The rows that run() returned: compared, looked into, written and read back."""
