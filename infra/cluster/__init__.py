"""A cluster of several nodes on one machine."""
