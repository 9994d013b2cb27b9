"""Whole runs, each of which reads like a table of contents."""
