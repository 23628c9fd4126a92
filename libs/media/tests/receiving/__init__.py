"""From packets of the link to blocks and pictures, and back."""
