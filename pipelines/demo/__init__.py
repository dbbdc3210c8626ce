"""The demo: its sources, made from the machine itself, and what is planted in them."""
