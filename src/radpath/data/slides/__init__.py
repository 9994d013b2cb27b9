"""Whole slides: which files are slides, where tissue is, and patches of a stated size and resolution."""
