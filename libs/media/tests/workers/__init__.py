"""Jobs in real child processes, and the parts that watch over them."""
