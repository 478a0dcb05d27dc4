# SPDX-License-Identifier: BSD-2-Clause
"""What pairs of runs of two builds say: is the new one slower, and how sure is that?

A pair are two runs of the same workload, one of each build, made one right after the other: what
the machine did for a while met both. So all is counted in the ratios of pairs, the new build's
speed by the old one's. (Medians of each build's runs by themselves scatter twice as much on a
machine that has a slow minute now and then.)

Two runs of the same build are exchangeable, so the logarithm of their ratio is as often above 0 as it
is below, by as much; of builds that differ by a factor, the same around that factor. That is all
that Wilcoxon's signed ranks need:

- The estimate is Hodges and Lehmann's, the median of the means of any two logarithms.
- Its interval has all those factors around which the signs of what was measured are not too
  one-sided. It is exact: all 2^n signs are counted. (A bootstrap of the median of 15 ratios,
  which is called a 95 % interval as well, missed the truth in 23 of 200 made-up cases.)
- p is how probable ratios this bad are if the new build is just 10 % slower, or less: the same
  test, one-sided. With many rows something always looks bad somewhere: Holm's correction raises
  p by how many rows there are.
"""

import math

LIMIT = 0.9 # of the old build's speed
CONFIDENCE = 0.95

# Beyond this no number of runs is worth naming: the truth is too close to the limit.
ROUNDS_MAX = 1000

# Signs of more pairs than these are not counted, but taken to be normally distributed.
EXACT_MAX = 60


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def sum_at_most(ranks, most):
    """How probable it is that those ranks which happen to be positive add up to so much, or less."""
    total = sum(ranks)
    if len(ranks) > EXACT_MAX:
        deviation = math.sqrt(sum(rank * rank for rank in ranks)) / 2
        return (1 + math.erf((most - total / 2) / deviation / math.sqrt(2))) / 2
    # ways[s]: how many choices of signs make them add up to s.
    ways = [1] + [0] * total
    for rank in ranks:
        for s in range(total, rank - 1, -1):
            ways[s] += ways[s - rank]
    return sum(ways[:most + 1]) / 2 ** len(ranks)


def estimate(ratios):
    """(low, ratio, high)."""
    logs = [math.log(ratio) for ratio in ratios]
    means = sorted((a + b) / 2 for i, a in enumerate(logs) for b in logs[i:])
    # The interval leaves out as many means at each end as the test would find too few.
    ranks = range(1, len(ratios) + 1)
    outside, most = 0, len(means) // 2
    while outside < most:
        middle = (outside + most + 1) // 2
        if sum_at_most(ranks, middle - 1) <= (1 - CONFIDENCE) / 2:
            outside = middle
        else:
            most = middle - 1
    # One more, because it is the last mean outside that is the end.
    end = max(outside - 1, 0)
    return tuple(math.exp(value) for value in (means[end], median(means), means[-1 - end]))


def doubled_ranks(sizes):
    """Twice the rank of each, from 2 up: equal ones share the mean of theirs, which may be a half."""
    ordered = sorted(sizes)
    first, last = {}, {}
    for rank, size in enumerate(ordered, 1):
        first.setdefault(size, rank)
        last[size] = rank
    return [first[size] + last[size] for size in sizes]


def p_slower(ratios):
    """How probable it is that the ratios are as far below the limit as they are, if in truth they
    lie around it."""
    # What is the same but for the last bit of a division shall tie.
    distances = [round(math.log(ratio / LIMIT), 12) for ratio in ratios]
    distances = [distance for distance in distances if distance != 0]
    ranks = doubled_ranks([abs(distance) for distance in distances])
    return sum_at_most(ranks, sum(rank for rank, distance in zip(ranks, distances)
                                  if distance > 0))


def holm(values):
    """p of each, corrected for how many there are."""
    corrected = [1.0] * len(values)
    least = 0.0
    for place, i in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        least = max(least, min(1.0, values[i] * (len(values) - place)))
        corrected[i] = least
    return corrected


def pairs_needed(n_rows):
    """Fewer cannot make p and an end of the interval certain enough, however clear they are."""
    return math.ceil(math.log2(max(n_rows, 2) / (1 - CONFIDENCE)))


def rounds_to_decide(n, low, ratio, high, n_rows):
    """How many pairs would probably take the interval off the limit, n of which gave this one: it
    narrows with the square root of their number. None: too many."""
    distance = abs(math.log(ratio / LIMIT))
    reach = math.log(ratio / low if ratio > LIMIT else high / ratio)
    if distance == 0 or n * (reach / distance) ** 2 > ROUNDS_MAX:
        return None
    return max(n + 1, math.ceil(n * (reach / distance) ** 2), pairs_needed(n_rows))


class Judgement:
    """Of one row. verdict: 'slower', 'faster', 'same' (not slower, not much faster) or
    'undecided'; rounds: how many would probably decide then, or None."""

    def __init__(self, ratios):
        self.n = len(ratios)
        self.p = self.ratio = self.low = self.high = self.rounds = None
        self.verdict = 'undecided'
        self.raw_p = 1.0
        if ratios:
            self.low, self.ratio, self.high = estimate(ratios)
            self.raw_p = p_slower(ratios)

    def decide(self, p, n_rows):
        """With p corrected for all the rows."""
        self.p = p
        if self.n < pairs_needed(n_rows):
            self.rounds = pairs_needed(n_rows)
        elif self.high < LIMIT and p < 1 - CONFIDENCE:
            self.verdict = 'slower'
        elif self.low > 1 / LIMIT:
            self.verdict = 'faster'
        elif self.low >= LIMIT:
            self.verdict = 'same'
        else:
            self.rounds = rounds_to_decide(self.n, self.low, self.ratio, self.high, n_rows)


def judge(rows):
    """rows: lists of ratios. A Judgement of each."""
    judgements = [Judgement(ratios) for ratios in rows]
    for judgement, p in zip(judgements, holm([judgement.raw_p for judgement in judgements])):
        judgement.decide(p, len(rows))
    return judgements
