"""Looks for what makes a score too good or worthless: copies, confounders, burned-in text, missing balance."""
