"""Specialize: as accurate and cheaper."""
