"""Carry out a plan: the fast check for nothing to do, execution, changing single records, and rehearsal."""
