"""From multiplication to convolutional networks: models a reader can follow line by line."""
