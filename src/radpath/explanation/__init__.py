"""Where the model looked: maps of the evidence for a class, and checks of what such maps are worth."""
