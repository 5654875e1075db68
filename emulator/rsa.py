"""The public half of an RSA key: enough to show one, not meant to keep a secret."""

from __future__ import annotations

import math
import secrets

EXPONENT = 65537
BITS = 2048
# A number of 1024 random bits that passes this often is prime for all that a stand-in needs.
_ROUNDS = 8
_SMALL = math.prod(number for number in range(3, 2000) if all(number % k for k in range(2, number)))


def modulus() -> int:
    """Multiply two random primes; takes a second or so."""
    while True:
        product = _prime(BITS // 2) * _prime(BITS // 2)
        if product.bit_length() == BITS:
            return product


def _prime(bits: int) -> int:
    while True:
        candidate = secrets.randbits(bits) | 1 | 3 << (bits - 2)
        fits = candidate % EXPONENT != 1 and math.gcd(candidate, _SMALL) == 1
        if fits and _is_prime(candidate):
            return candidate


def _is_prime(number: int) -> bool:
    """Ask Miller and Rabin."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(_passes(number, odd, twos) for _ in range(_ROUNDS))


def _passes(number: int, odd: int, twos: int) -> bool:
    power = pow(secrets.randbelow(number - 3) + 2, odd, number)
    if power in {1, number - 1}:
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False
