"""Rules of the requests: one class per message of the contract, with the names of its fields."""
