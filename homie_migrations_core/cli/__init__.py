"""The terminal, and nothing else: asks the front desk, prints its answers."""
