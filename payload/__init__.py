"""What a bundle is: its types, wire format and trust, and the kernel that the other packages share."""
