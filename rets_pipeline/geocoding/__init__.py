"""Where an address is: one spelling for each place, geocoders, and what of their answers counts.

What belongs here: normalizing addresses, asking providers through geopy, judging their answers, and
when to ask again. What does not: SQL, listings, Dagster.
"""
