"""Random selections, each as a request says it and as NumPy indexes with it."""

import numpy

KINDS = ("all", "slice", "index", "mask", "integer")


def selector(chance, length):
    """One selector for an axis of `length`, and the index that NumPy takes for it."""
    kind = chance.choice(KINDS) if length else chance.choice(("all", "slice"))
    if kind == "all":
        return {"all": True}, slice(None)
    if kind == "slice":
        taken = random_slice(chance, length)
        bounds = {"start": taken.start, "stop": taken.stop, "step": taken.step}
        return {"slice": {name: bound for name, bound in bounds.items() if bound is not None}}, taken
    if kind == "mask":
        mask = [chance.random() < 0.4 for _ in range(length)]
        return {"mask": mask}, numpy.array(mask)
    if kind == "integer":
        position = chance.randint(-length, length - 1)
        return {"integer": position}, [position]
    index = [chance.randint(-length, length - 1) for _ in range(chance.randint(0, 12))]
    return {"index": index}, numpy.array(index, dtype=int)


def axis(chance, length):
    """One to three selectors that compose, and the positions that they leave, in order."""
    selectors, positions = [], numpy.arange(length)
    for _ in range(chance.choice((1, 1, 2, 3))):
        asked, taken = selector(chance, len(positions))
        selectors.append(asked)
        positions = positions[taken]
    return selectors, positions


def random_slice(chance, length):
    """A slice of an axis, with negative steps and bounds outside it."""
    start, stop = (chance.choice([None, chance.randint(-length - 2, length + 2)]) for _ in range(2))
    return slice(start, stop, chance.choice([None, 1, 2, 5, -1, -3]))


def spelled(slices):
    """Slices as NumPy writes them."""
    parts = [[taken.start, taken.stop, taken.step] for taken in slices]
    return ", ".join(":".join("" if bound is None else str(bound) for bound in part) for part in parts)
