"""What it costs and who may spend. Sees amounts, rates and usage; never a provider or a prompt."""
