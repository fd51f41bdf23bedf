"""Workers that are separate processes: a hanging one is killed, a crash affects only that worker."""
