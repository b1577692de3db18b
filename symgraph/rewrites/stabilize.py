"""Stabilize."""
