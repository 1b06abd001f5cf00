"""Effects towards the models: the question through the Service, asked in a child process."""
