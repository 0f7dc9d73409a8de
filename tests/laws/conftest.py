"""Every destination is imported before processes are forked, so that none of them has to import its driver anew."""

from tailrace import cli, destinations

for _name in destinations.NAMES:
    destinations.traits_of(_name)
assert cli
