"""The database: tables named after RESO Data Dictionary resources, and the ledgers.

What belongs here: tables, migrations, loads, ledgers, quarantine, locks. What does not: XML, HTTP,
what a server's words mean, and the decision what to load or delete (that is ``sync``).
"""
