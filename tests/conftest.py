"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# How long it takes to make an example says something about the machine, and about nothing that is tested.
settings.register_profile("wernicke", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wernicke")
