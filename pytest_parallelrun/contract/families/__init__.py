"""The checks: one module a family, executed anew for every entry."""
