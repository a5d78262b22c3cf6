"""Work on more than one machine with Ray; a jam on one machine imports none of it."""
