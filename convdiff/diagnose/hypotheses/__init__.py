"""The known ways in which a convolution goes wrong: `base` says what a hypothesis is."""
