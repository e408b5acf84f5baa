"""Who is calling: people, clients (customer organisations), their members and API keys."""
