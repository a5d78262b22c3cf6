"""The jam: modes, turn-taking, fingers, voices and history. Pure: time is an argument."""
