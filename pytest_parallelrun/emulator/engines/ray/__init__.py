"""Workers on a Ray cluster: the same worker processes, each held by an actor on one of its nodes."""
