"""Workers that are processes of their own: what hangs is killed, what crashes takes nothing along."""
