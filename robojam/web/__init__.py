"""The web pad: a page on which every phone plays, and the sound of that page."""
