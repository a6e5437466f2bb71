"""The calls of the client, one module for each part of the contract, and what they share."""
