"""Writes vectors.txt: the scheme in big integers, coefficient by coefficient, without transforms or residues.

python3 vectors.py > vectors.txt
"""

STEP = 1 << 15
N, BITS = 4096, 32
SECRET = {0: 1, 7: -1, 100: 1, 2048: -1, 4095: 1}  # sparse, so that schoolbook products are quick
PLAIN = {0: 2**31 - 1, 1: -(2**31), 5: 12345, 4095: -7}


def is_prime(n):
    return n > 3 and all(pow(b, n - 1, n) == 1 for b in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29))


def primes(bits, count):
    found, q = [], 2**bits - STEP + 1
    while len(found) < count:
        if is_prime(q):
            found.append(q)
        q -= STEP
    return found


class Words:
    def __init__(self, seed):
        self.x = seed

    def next(self):
        self.x = (self.x * 6364136223846793005 + 1442695040888963407) % 2**64
        return self.x


def crt(residues, moduli):
    q = 1
    for m in moduli:
        q *= m
    return sum(r * (q // m) * pow(q // m, -1, m) for r, m in zip(residues, moduli, strict=True)) % q


def times(dense, sparse, q):
    out = [0] * N
    for shift, factor in sparse.items():
        for i, x in enumerate(dense):
            k = i + shift
            out[k % N] += factor * x if k < N else -factor * x
    return [x % q for x in out]


def nearest(a, b):
    return (2 * a + b) // (2 * b)


moduli = primes(50, 2)
q = moduli[0] * moduli[1]
t = 2**BITS
print("primes", *moduli, *primes(46, 4))

words = Words(1)
columns = [[(words.next() >> 14) % m for _ in range(N)] for m in moduli]
a = [crt(pair, moduli) for pair in zip(*columns, strict=True)]
words = Words(2)
message = [words.next() >> (64 - BITS) for _ in range(N)]
words = Words(3)
errors = [(words.next() >> 40) % 43 - 21 for _ in range(N)]

a_s = times(a, SECRET, q)
c0 = [(nearest(q * m, t) + e - x) % q for m, e, x in zip(message, errors, a_s, strict=True)]
answer0, answer1 = times(c0, PLAIN, q), times(a, PLAIN, q)
opened = [(x + y) % q for x, y in zip(answer0, times(answer1, SECRET, q), strict=True)]
for at in (0, 1, 2, 5, 77, 2047, 2048, 4000, 4095):
    share = nearest(opened[at] * t, q) % t
    top = nearest(opened[at] << 90, q) % 2**90
    print("at", at, c0[at], answer0[at], answer1[at], opened[at], share, top)
