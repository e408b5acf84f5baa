"""How to talk to vendors: accounts at vendors, adapters (pure translators), transports, twins."""
