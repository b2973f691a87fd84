"""The whole system on one machine, as child processes: used by the commands (`python -m local`) and by the tests.

Private to a folder (`.local/` of the checkout, or a test's own): data, ports, passwords, logs. Imports no function.
"""
