"""Hosts and networks as text: HOST or HOST/MASK, of IPv4 and IPv6."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from robojam.config.addresses import is_group, is_host, is_loopback, is_wildcard, quoted

_FORMS: Final = "HOST or HOST/MASK without a port, as 10.0.0.7, 10.0.0.0/24, fd00::/64"
#: Bits of an IPv6 address that stand before the IPv4 address that is mapped into it.
_MAPPED: Final = 96


@dataclass(frozen=True, slots=True)
class Network:
    """Hosts with the first bits of their addresses in common: one host, a network, or all.

    interface is that of an IPv6 address of one link, or "" for any.
    """

    network: IPv4Network | IPv6Network
    interface: str = ""

    def __contains__(self, host: str) -> bool:
        """Return whether a numeric host, as robojam.ports.udp writes it, is one of these."""
        address, _, interface = host.partition("%")
        try:
            number = ip_address(address)
        except ValueError:
            return False
        is_on_link = self.interface in ("", interface)
        return is_on_link and number.version == self.network.version and number in self.network

    @property
    def size(self) -> int:
        """Number of addresses."""
        return self.network.num_addresses


def parse_network(text: str) -> Network | str:
    """Return the network of HOST or HOST/MASK, or a name of a host as it is, to be looked up.

    MASK is the number of bits that the hosts have in common, or dotted. Raises ValueError,
    which says what is wrong.
    """
    host, slash, mask = text.partition("/")
    host = host.removeprefix("[").removesuffix("]")
    host, percent, interface = host.partition("%")
    is_number = ":" in host or host.rpartition(".")[2].isdecimal()
    if not is_number:
        if slash or percent or not is_host(host):
            raise ValueError(f"{quoted(text)} is no host and no network; allowed: {_FORMS}")
        return host
    try:
        network = ip_network(f"{host}{slash}{mask}", strict=False)
    except ValueError as error:
        raise ValueError(f"{quoted(text)} is no network; allowed: {_FORMS}") from error
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED:
        mapped = IPv6Address(network.network_address).ipv4_mapped
        if mapped is not None:
            network = IPv4Network((mapped, network.prefixlen - _MAPPED))
    first = str(network.network_address)
    if is_wildcard(first) and network.num_addresses == 1:
        raise ValueError(f"{quoted(text)} is nobody's address; {first}/0 is everybody")
    if is_group(first) and not slash:
        raise ValueError(f"{quoted(text)} is a group, and nobody sends from its address")
    if is_loopback(first):
        raise ValueError(f"{quoted(text)} is this machine, which may do everything anyway")
    return Network(network, interface)
