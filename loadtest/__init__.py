"""What the autoscaling does under load, measured from outside: a recorder, a burst, cold starts, hey and locust.

Everything aims at the gateway's address. `make loadtest` and `make coldstart` write into docs/autoscaling.md.
"""
