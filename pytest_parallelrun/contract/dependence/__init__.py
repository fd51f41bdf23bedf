"""What results may depend on apart from their item: size, order, history, retries, other workers."""
