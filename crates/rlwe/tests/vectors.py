"""Known answers for the arithmetic, by big integers and schoolbook: python3 vectors.py > vectors.txt

Inputs are made by a formula that the test repeats, so that only answers are kept. One line an answer: its name, then
numbers.
"""

GOLDEN = 0x9E3779B97F4A7C15F39CC0605CEDC835


def number(i: int, most: int) -> int:
    """Below `most`."""
    return pow(i + 3, 5, 1 << 128) * GOLDEN % (1 << 128) % most


def is_prime(n: int) -> bool:
    twos, odd = 0, n - 1
    while odd % 2 == 0:
        twos, odd = twos + 1, odd // 2
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        x = pow(base, odd, n)
        if x not in (1, n - 1) and all((x := x * x % n) != n - 1 for _ in range(twos - 1)):
            return False
    return True


def primes(degree: int, bits: list[int]) -> list[int]:
    found = []
    for b in bits:
        p = 2**b - 2 * degree + 1
        while p in found or not is_prime(p):
            p -= 2 * degree
        found.append(p)
    return found


def product(a: list[int], b: dict[int, int], modulus: int) -> list[int]:
    """Modulo x^N + 1; the right one by its terms."""
    out = [0] * len(a)
    for j, y in b.items():
        for i, x in enumerate(a):
            at, sign = (i + j, 1) if i + j < len(a) else (i + j - len(a), -1)
            out[at] = (out[at] + sign * x * y) % modulus
    return out


def rounded(x: int, y: int) -> int:
    """x / y to the nearest, halves up."""
    return (2 * x + y) // (2 * y)


def main() -> None:
    print("primes", *primes(8192, [50, 50, 47, 46, 43]), *primes(16384, [50, 49]))
    (p,) = primes(128, [50])
    a, b = ([number(i + k, p) for i in range(128)] for k in (0, 1000))
    print("product", *product(a, dict(enumerate(b)), p))

    # The chain of full 64-bit operands.
    chain = primes(8192, [50, 49, 49, 49])
    q, w = 1, 73
    for p in chain:
        q *= p
    print("scaled", *(rounded(q * number(i, 2**64), 2**64) % p for p in chain for i in range(16)))
    print("switched", *(rounded(number(i, 2**128) * 2**60 % q * 2**w, q) % 2**w for i in range(16)))

    # Divided by the last two primes, one after the other, each time rounded; an eighth of it modulo the first two.
    numbers, low = [number(i, 2**128) * 2**60 % q for i in range(16)], chain[0] * chain[1]
    for p in (chain[3], chain[2]):
        numbers = [rounded(x, p) for x in numbers]
    print("lowered", *(x * pow(8, -1, low) % low % p for p in chain[:2] for x in numbers))

    # A polynomial modulo 2^w by a sparse secret: as integers, then modulo 2^128.
    c = [number(i, 2**w) for i in range(8192)]
    secret = {0: 1, 1: -1, 77: -1, 4096: 1, 8191: -1}
    print("joined", *product(c, secret, 2**128)[:16])


main()
