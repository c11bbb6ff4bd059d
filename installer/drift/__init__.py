"""What of an installed product is not as its release has it, and putting that back."""
