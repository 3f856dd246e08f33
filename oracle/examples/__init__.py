"""Models to start from; everything in here is data and training, nothing that the service needs."""
