"""Arguments become one recipe call; errors become one line."""
