"""What recorded runs came to: the challenge's table, plots and a page of them."""
