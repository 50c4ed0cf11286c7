"""Kubernetes: its API, the pods that are meant, and the ways into them."""
