"""Numbers become figures, tables and one page."""
