"""The whole of an installed product as one archive, and back."""
