"""Two clusters on one machine share no address."""

import ipaddress
import itertools
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.addresses import Addresses, free_port, lowest_free_slot
from testbed.errors import PrerequisiteMissingError

slots = st.integers(0, 255)


def ranges(slot):
    """Both ranges of a slot."""
    found = Addresses(slot)
    return [ipaddress.ip_network(r) for r in (found.service_range, found.pod_range)]


class TestAddresses:
    @given(slots, slots)
    def test_ranges_of_different_slots_never_overlap(self, one, other):
        """Nor do the services and pods of one slot."""
        together = ranges(one) + (ranges(other) if one != other else [])

        assert not any(a.overlaps(b) for a, b in itertools.combinations(together, 2))

    @given(slots)
    def test_the_bridge_and_the_api_have_the_first_address_of_their_range(self, slot):
        """Kubernetes takes the first service address for itself; host-local wants a gateway."""
        services, pods = ranges(slot)

        assert Addresses(slot).api_service == str(services[1])
        assert Addresses(slot).bridge == str(pods[1])

    @given(slots)
    def test_a_bridge_name_fits_the_kernels_limit(self, slot):
        """An interface name has at most 15 characters."""
        assert len(Addresses(slot).bridge_name) <= 15

    @pytest.mark.parametrize("slot", [-1, 256])
    def test_refuses_a_slot_out_of_range(self, slot):
        """There are 256 subnets to give."""
        with pytest.raises(ValueError, match="must be 0 to 255"):
            Addresses(slot)


class TestLowestFreeSlot:
    def test_fills_gaps(self):
        """A slot is used again once its cluster is gone."""
        assert lowest_free_slot({0, 1, 3}) == 2

    def test_says_so_when_all_are_taken(self):
        """The message names the remedy."""
        with pytest.raises(PrerequisiteMissingError, match="testbed down"):
            lowest_free_slot(range(256))


class TestFreePort:
    def test_can_be_listened_on(self):
        """The port is free at the address that was asked for."""
        port = free_port("127.0.0.1")

        with socket.create_server(("127.0.0.1", port)) as server:
            assert server.getsockname()[1] == port

    def test_no_outgoing_connection_can_take_it(self):
        """A server that restarts finds its port free, whatever its clients did meanwhile."""
        ephemeral = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()

        assert not int(ephemeral[0]) <= free_port() <= int(ephemeral[1])
