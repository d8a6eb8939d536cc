"""Verification of Ed25519 signatures (RFC 8032, section 5.1.7), without the cofactor, as OpenSSL does it.

It only verifies, so nothing in it is secret and nothing needs to take the same time for all inputs.
"""

from functools import lru_cache
from hashlib import sha512

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)

# A point is (X, Y, Z, T) with x = X/Z, y = Y/Z and T = XY/Z.
Point = tuple[int, int, int, int]
NEUTRAL: Point = (0, 1, 1, 0)


def add(a: Point, b: Point) -> Point:
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    left = (y1 - x1) * (y2 - x2) % P
    right = (y1 + x1) * (y2 + x2) % P
    c = 2 * t1 * t2 * D % P
    d = 2 * z1 * z2 % P
    e, f, g, h = right - left, d - c, d + c, right + left
    return e * f % P, g * h % P, f * g % P, e * h % P


def double(a: Point) -> Point:
    x, y, z, _ = a
    xx, yy = x * x % P, y * y % P
    h = xx + yy
    e = h - (x + y) * (x + y)
    g = xx - yy
    f = 2 * z * z + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def negative(a: Point) -> Point:
    x, y, z, t = a
    return P - x, y, z, P - t


def encode(a: Point) -> bytes:
    x, y, z, _ = a
    inverse = pow(z, -1, P)
    return (y * inverse % P | (x * inverse % P & 1) << 255).to_bytes(32, "little")


def decode(encoded: bytes) -> Point | None:
    """The point, or None where there is none with this encoding."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    if len(encoded) != 32 or y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * v**3 * pow(u * v**7, (P - 5) // 8, P) % P
    if (v * x * x + u) % P == 0:
        x = x * SQRT_OF_MINUS_1 % P
    if (v * x * x - u) % P != 0 or (x == 0 and sign == 1):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def multiples(a: Point) -> list[Point]:
    """0 to 15 times the point."""
    result = [NEUTRAL]
    for _ in range(15):
        result.append(add(result[-1], a))
    return result


BASE = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
assert BASE is not None
MULTIPLES_OF_BASE = multiples(BASE)


@lru_cache(maxsize=256)
def multiples_of_negative_key(key: bytes) -> list[Point] | None:
    point = decode(key)
    return None if point is None else multiples(negative(point))


@lru_cache(maxsize=65_536)
def is_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether this is the key's signature of the message."""
    of_key = multiples_of_negative_key(key)
    if of_key is None or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= ORDER:
        return False
    k = int.from_bytes(sha512(signature[:32] + key + message).digest(), "little") % ORDER
    # R must be sB - kA: both products in one pass, four bits at a time.
    sum_ = NEUTRAL
    for shift in range(252, -1, -4):
        for _ in range(4):
            sum_ = double(sum_)
        sum_ = add(sum_, MULTIPLES_OF_BASE[s >> shift & 15])
        sum_ = add(sum_, of_key[k >> shift & 15])
    return encode(sum_) == signature[:32]
