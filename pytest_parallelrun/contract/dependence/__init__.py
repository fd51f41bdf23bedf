"""What results may depend on beside their item: size, order, history, retries, other workers."""
