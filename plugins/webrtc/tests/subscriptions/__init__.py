"""What a client receives, over one peer connection and over two."""
