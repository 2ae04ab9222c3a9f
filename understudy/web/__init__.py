"""Pages for people: each is one HTML file that holds all it needs, and is written into the lake."""
